"""Nats of every symbol of whole documents: windows to the devices, scores back to the documents they belong to."""

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding

from lexitok.data.batch import Batch
from lexitok.data.placement import put_batch
from lexitok.data.windows import ScoredBatch, ScoredRange
from lexitok.evals.tally import Scored
from lexitok.ops.read_out import CHUNK, Query
from lexitok.sharding import replicated

Sums = dict[str, jax.Array]
Score = Callable[[Any, Batch], tuple[jax.Array, jax.Array, Sums]]


class ScoringError(RuntimeError):
    """A symbol was scored twice, never, or with no finite nats; the message names the document and the symbol."""


def score_documents(
    model: Any,
    batches: Iterable[ScoredBatch],
    eot: int,
    counts: Counter[str] | None = None,
    chunk: int = CHUNK,
) -> Iterator[tuple[int, Scored]]:
    """Every document with its number, as soon as it is complete.

    Args:
      model: has `read_out(batch, query)`.
      batches: of `lexitok.data.windows.eval_batches`.
      eot: the symbol that ends documents.
      counts: what the model counts is added to it, and the bytes and the number of all targets, read as context or
        scored (`bytes_read`, `symbols_read`).
      chunk: positions of a row whose logits are computed at once.

    Raises:
      ScoringError: a symbol was scored twice, never, or its nats are not finite.
    """
    number, parts, done = 0, [], 0
    for batch, ranges, nll_BxS, is_top_BxS, sums in scores_of(model, batches, chunk):
        if counts is not None:
            counts.update({name: float(value) for name, value in sums.items()})
            counts["bytes_read"] += int(batch.tokens.bytes_BxS.sum())
            counts["symbols_read"] += int((batch.tokens.segments_BxS > 0).sum())
        for scored in ranges:  # in the order of the text
            if scored.document != number and parts:
                yield number, _assemble(number, parts, eot)
                parts, done = [], 0
            number = scored.document
            _expect(number, scored.start, done)
            done += scored.length
            parts.append(_cut(batch, scored, nll_BxS, is_top_BxS))
    if parts:
        yield number, _assemble(number, parts, eot)


def scores_of(
    model: Any, batches: Iterable[ScoredBatch], chunk: int = CHUNK
) -> Iterator[tuple[Batch, tuple[ScoredRange, ...], np.ndarray, np.ndarray, dict[str, np.ndarray]]]:
    """Each batch with its nats (float32 `[B, S]`), whether targets have the largest logit (bool `[B, S]`), and sums.

    A batch is read when the next has been dispatched, so the devices do not wait for the host.
    """
    score, pending = scorer(chunk), None
    for batch, ranges in batches:
        out = score(model, put_batch(batch))
        if pending is not None:
            yield *pending[0], *_with_room(model, pending[0][0], jax.device_get(pending[1]), chunk)
        pending = (batch, ranges), out
    if pending is not None:
        yield *pending[0], *_with_room(model, pending[0][0], jax.device_get(pending[1]), chunk)


def _with_room(model: Any, batch: Batch, out: Any, chunk: int) -> Any:
    """The scores of a batch; where the model found more units than its rows had room for, once more with enough."""
    if not any(value for name, value in out[2].items() if name.endswith("units_dropped")):
        return out
    units = batch.tokens.units
    more = batch.tokens.symbols_BxS.shape[1] - units.segments_BxW.shape[1]
    if more <= 0:  # a backbone that is a stage has no room: what it passes over is the model's
        return out
    wider = {name: np.pad(getattr(units, name), ((0, 0), (0, more))) for name in ("segments_BxW", "positions_BxW")}
    tokens = dataclasses.replace(batch.tokens, units=dataclasses.replace(units, **wider))
    return jax.device_get(scorer(chunk)(model, put_batch(dataclasses.replace(batch, tokens=tokens))))


def compile_for(model: Any, batch: Batch, chunk: int = CHUNK) -> None:
    """Scores a batch once, so that what follows is not timed with compilation."""
    jax.block_until_ready(scorer(chunk)(model, put_batch(batch)))


def scorer(chunk: int = CHUNK) -> Score:
    """The jitted function from a model and a batch to `nll_BxS, is_top_BxS, sums`, for the mesh that is set."""
    return _scorer(replicated(), chunk)


@functools.cache
def _scorer(out: NamedSharding | None, chunk: int) -> Score:
    """One function for each mesh, kept: a later evaluation compiles nothing."""

    def score(model: Any, batch: Batch) -> tuple[jax.Array, jax.Array, Sums]:
        found, extras = model.read_out(batch, Query(chunk=chunk))
        return found.nll_BxS, found.is_top_BxS, extras.sums

    return jax.jit(score, out_shardings=out)


def _cut(batch: Batch, scored: ScoredRange, nll_BxS: np.ndarray, is_top_BxS: np.ndarray) -> Scored:
    at = (scored.row, slice(scored.column, scored.column + scored.length))
    symbols, nbytes = np.asarray(batch.tokens.targets_BxS[at]), np.asarray(batch.tokens.bytes_BxS[at])
    predicted = np.asarray(batch.tokens.weights_BxS[at]) > 0  # the others follow from what is before them
    return Scored(symbols, nbytes, np.where(predicted, nll_BxS[at], 0), is_top_BxS[at] | ~predicted)


def _assemble(number: int, parts: Sequence[Scored], eot: int) -> Scored:
    fields = ("symbols", "nbytes", "nll", "is_top")
    scored = Scored(*(np.concatenate([getattr(part, field) for part in parts]) for field in fields))
    if scored.symbols[-1] != eot:
        raise ScoringError(f"document {number}: what follows symbol {len(scored.symbols) - 1} was never scored")
    if not np.isfinite(scored.nll).all():
        at = int(np.argmin(np.isfinite(scored.nll)))
        raise ScoringError(
            f"document {number}: the nats of symbol {at} are {scored.nll[at]}; the model gives no probabilities: its "
            "parameters are broken, or its activations overflow"
        )
    return scored


def _expect(number: int, start: int, expected: int) -> None:
    if start < expected:
        raise ScoringError(f"document {number}: symbol {start} was scored twice")
    if start > expected:
        raise ScoringError(f"document {number}: symbol {expected} was never scored")
