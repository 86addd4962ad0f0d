"""Nats of every symbol of whole documents: windows to the devices, scores back to the documents they belong to."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding

from lexitok.data.batch import Batch
from lexitok.data.windows import Span
from lexitok.evals.devices import put, replicated
from lexitok.evals.tally import Scored

Spans = tuple[Span, ...]
Score = Callable[[Any, Batch], tuple[jax.Array, jax.Array]]


class ScoringError(RuntimeError):
    """A symbol was scored twice, or never; the message names the document and the symbol."""


def score_documents(model: Any, batches: Iterable[tuple[Batch, Spans]], eot: int) -> Iterator[tuple[int, Scored]]:
    """Every document with its number, as soon as it is complete.

    Args:
      model: has `scores(batch)`.
      batches: of `lexitok.data.windows.eval_batches`.
      eot: the symbol that ends documents.

    Raises:
      ScoringError: a symbol was scored twice, or never.
    """
    number, parts, done = 0, [], 0
    for batch, spans, nll_BxS, is_top_BxS in scores_of(model, batches):
        for span in spans:  # in the order of the text
            if span.document != number and parts:
                yield number, _assemble(number, parts, eot)
                parts, done = [], 0
            number = span.document
            _expect(number, span.start, done)
            done += span.length
            parts.append(_cut(batch, span, nll_BxS, is_top_BxS))
    if parts:
        yield number, _assemble(number, parts, eot)


def scores_of(
    model: Any, batches: Iterable[tuple[Batch, Spans]]
) -> Iterator[tuple[Batch, Spans, np.ndarray, np.ndarray]]:
    """Each batch with its nats (float32 `[B, S]`) and whether targets have the largest logit (bool `[B, S]`).

    A batch is read when the next has been dispatched, so the devices do not wait for the host.
    """
    score, held = scorer(), None
    for batch, spans in batches:
        out = score(model, put(batch))
        if held is not None:
            yield *held[0], *jax.device_get(held[1])
        held = (batch, spans), out
    if held is not None:
        yield *held[0], *jax.device_get(held[1])


def compile_for(model: Any, batch: Batch) -> None:
    """Scores a batch once, so that what follows is not timed with compilation."""
    jax.block_until_ready(scorer()(model, put(batch)))


def scorer() -> Score:
    """The jitted function from a model and a batch to `nll_BxS, is_top_BxS`, for the mesh that is set."""
    return _scorer(replicated())


@functools.cache
def _scorer(out: NamedSharding | None) -> Score:
    """One function for each mesh, kept: a later evaluation compiles nothing."""

    def score(model: Any, batch: Batch) -> tuple[jax.Array, jax.Array]:
        scores = model.scores(batch)
        return scores.nll_BxS, scores.is_top_BxS

    return jax.jit(score, out_shardings=out)


def _cut(batch: Batch, span: Span, nll_BxS: np.ndarray, is_top_BxS: np.ndarray) -> Scored:
    at = (span.row, slice(span.column, span.column + span.length))
    symbols, nbytes = np.asarray(batch.targets_BxS[at]), np.asarray(batch.bytes_BxS[at])
    return Scored(symbols, nbytes, nll_BxS[at], is_top_BxS[at])


def _assemble(number: int, parts: Sequence[Scored], eot: int) -> Scored:
    fields = ("symbols", "nbytes", "nll", "is_top")
    scored = Scored(*(np.concatenate([getattr(part, field) for part in parts]) for field in fields))
    if scored.symbols[-1] != eot:
        raise ScoringError(f"document {number}: what follows symbol {len(scored.symbols) - 1} was never scored")
    return scored


def _expect(number: int, start: int, expected: int) -> None:
    if start < expected:
        raise ScoringError(f"document {number}: symbol {start} was scored twice")
    if start > expected:
        raise ScoringError(f"document {number}: symbol {expected} was never scored")
