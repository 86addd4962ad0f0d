"""Batches of what the student writes, which its teacher then reads (on-policy distillation, arXiv 2306.13649).

The student goes on with beginnings of text; the losses are about what it wrote, and not about what it went on with. Its
side of a batch has the very symbols that it drew, which need not be those that its tokenizer makes of this text; the
teacher's has what its tokenizer makes of the bytes, by which both are aligned. Symbols that say where units end follow
from the bytes, as in text.

What a step is about, which beginnings there are, and what is drawn follow from the seed and the number of the step, so
that a run that was stopped goes on as it would have.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from lexitok.data.aligned_streams import cut_together
from lexitok.data.batch import Batch, Budget, Tokenisation, row_seeds
from lexitok.data.cuts import cut_offsets, places
from lexitok.data.encoders import Encoder, flat_stream
from lexitok.data.layout import Piece
from lexitok.data.rows import Rows
from lexitok.data.sources import Corpus, has_chats, open_source
from lexitok.inference.drawing import write_symbols
from lexitok.inference.prompts import prompt_symbols
from lexitok.inference.sampling import Sampling
from lexitok.text.alignment import classes_of
from lexitok.text.boundaries import SymbolStream
from lexitok.training.objectives import Objective
from lexitok.training.state import SetupError


@dataclasses.dataclass
class Written:
    """Sums over what was written.

    Attributes:
      texts: how many.
      symbols: that were drawn.
      redrawn: of these, symbols that the tokenizer would not make of the text.
      lost: texts that found no room in the rows, in both tokenisations cut at one byte, or that the student's alphabet
        cannot hold.
    """

    texts: int = 0
    symbols: int = 0
    redrawn: int = 0
    lost: int = 0


class OnPolicy:
    """Makes the batches of steps that are about what the student writes."""

    def __init__(
        self,
        c: ConfigDict,
        encoder: Encoder,
        others: Sequence[Tokenisation],
        corpus: Corpus,
        *,
        rows: int,
        symbols: int,
        units: int,
        seed: int,
    ):
        """Takes settings.

        Args:
          c: a `lexitok.config.on_policy` section.
          encoder, others: of the student and of the teachers.
          corpus: has the beginnings.
          rows, symbols, units: of a batch.
          seed: of the run.

        Raises:
          SetupError: settings that cannot be; what is kept of a teacher, which has not read what is written; several
            processes.
        """
        _check(c, others, symbols)
        self._c, self._encoder, self._corpus, self._seed = c, encoder, corpus, seed
        self._others = [other.encoder for other in others]
        try:
            self._sampling = Sampling(c.temperature, c.top_k, c.top_p)
        except ValueError as error:
            raise SetupError(f"objective.on_policy: {error}") from error
        self._classes = [classes_of(each.vocabulary) for each in (encoder, *self._others)]
        self._budgets = [Budget.of(encoder, symbols, units), *(other.budget for other in others)]
        self._rows, self._texts = rows, rows * (symbols // (c.prompt + c.symbols))
        self._written: dict[int, Written] = {}  # by step

    def writes(self, step: int) -> bool:
        """Whether a step is about what the student writes."""
        return bool(np.random.default_rng((self._seed, step)).random() < self._c.fraction)

    def batch(self, model: Any, step: int) -> Batch:
        """The batch of a step, numpy arrays: as many texts in each row as it has room for.

        Args:
          model: the student as it is.
          step: its number.
        """
        rng = np.random.default_rng((self._seed, step, 1))
        beginnings = [self._beginning(rng) for _ in range(self._texts)]
        read = [prompt_symbols(self._encoder, beginning) for beginning in beginnings]
        seed = int(rng.integers(1 << 31))
        how = {"symbols": self._c.symbols, "sampling": self._sampling, "seed": seed}
        drawn = write_symbols(model, self._encoder, read, **how)
        rows, written = Rows(self._rows, self._budgets[0], self._budgets[1:]), Written()
        for beginning, symbols in zip(beginnings, drawn, strict=True):
            piece = self._piece(beginning, symbols, written)
            if piece is not None and (row := rows.row_for(piece)) is not None:
                rows.put(row, piece)
            else:
                written.lost += 1
        self._written[step] = written
        return dataclasses.replace(rows.batch, seeds_B=row_seeds(self._rows, self._seed, step))

    def take_metrics(self, step: int) -> dict[str, float]:
        """For a log: of what was written for steps up to this one, since it was last asked."""
        steps = [self._written.pop(n) for n in list(self._written) if n <= step]
        texts, symbols, redrawn, lost = (sum(getattr(w, f.name) for w in steps) for f in dataclasses.fields(Written))
        return {
            "on_policy/texts": float(texts),
            "on_policy/symbols": float(symbols),
            "on_policy/retokenisation_drift": redrawn / max(1, symbols),
            "on_policy/lost_texts": float(lost),
        }

    def _beginning(self, rng: np.random.Generator) -> bytes:
        """A stretch of a document, from one good place to cut to another."""
        data = self._corpus[int(rng.integers(len(self._corpus)))].data
        cuts = [*cut_offsets(places(data)[1:], self._c.prompt), len(data)]
        at = int(rng.integers(len(cuts) - 1))
        return data[cuts[at] : cuts[at + 1]]

    def _piece(self, beginning: bytes, drawn: Sequence[int], written: Written) -> Piece | None:
        """What was drawn behind a beginning, in all tokenisations; None where it cannot be read or cut in them."""
        vocabulary = self._encoder.vocabulary
        ended = bool(drawn) and drawn[-1] == vocabulary.eot
        text = beginning + vocabulary.decode(drawn)
        written.texts, written.symbols = written.texts + 1, written.symbols + len(drawn)
        try:  # some alphabets hold no bytes that are not UTF-8
            stream, redrawn = self._stream(beginning, text, drawn[:-1] if ended else drawn)
            written.redrawn += redrawn
            streams = [stream, *(other.encode(text, "what the student wrote") for other in self._others)]
            (piece, *_) = cut_together(streams, self._budgets, self._classes, "what the student wrote")
        except ValueError:
            return None
        is_written = np.cumsum(piece.nbytes) > len(beginning)
        if len(piece) == len(stream):
            is_written[-1] = ended  # where it was cut off nothing ends
        return dataclasses.replace(piece, weights=piece.weights * is_written)

    def _stream(self, beginning: bytes, text: bytes, drawn: Sequence[int]) -> tuple[SymbolStream, int]:
        """The student's side of a text, and how many of the symbols are not those that it would be encoded in."""
        anew = self._encoder.encode(text, "what the student wrote")
        if self._encoder.rule.has_units:
            return anew, 0
        before = self._encoder.encode(beginning)
        vocabulary = self._encoder.vocabulary
        symbols = np.append(before.symbols[:-1], np.array(drawn, np.int32))
        nbytes = np.append(before.nbytes[:-1], vocabulary.lengths[np.array(drawn, np.int64)])
        stream = flat_stream(symbols, nbytes.astype(np.int32), vocabulary)
        return stream, len(drawn) - _same(stream, anew, len(before) - 1)


def _same(stream: SymbolStream, anew: SymbolStream, first: int) -> int:
    """How many symbols from the `first` on the other stream has too, between the same bytes."""
    ours, theirs = (
        zip((np.cumsum(s.nbytes) - s.nbytes).tolist(), s.symbols.tolist(), strict=True) for s in (stream, anew)
    )
    there = set(theirs)
    return sum(each in there for each in list(ours)[first:-1])


def make_on_policy(config: ConfigDict, encoder: Encoder, objective: Objective) -> OnPolicy | None:
    """What a config says; None: all steps are about text.

    Raises:
      SetupError: as `OnPolicy`; tokenizers are drawn, or the source has chats.
    """
    c, data = config.objective.get("on_policy"), config.data
    if c is None or not c.fraction:
        return None
    if data.tokenizers != "own":
        raise SetupError("objective.on_policy needs data.tokenizers 'own': the student writes in its own symbols")
    if has_chats(data.source):
        raise SetupError("objective.on_policy goes on with texts, and data.source has chats")
    corpus = open_source(data.source, data.train_split, cache=data.cache, field=data.field)
    budgets = {"rows": data.rows, "symbols": data.symbols, "units": data.units}
    return OnPolicy(c, encoder, objective.tokenisations, corpus, **budgets, seed=config.seed)


def _check(c: ConfigDict, others: Sequence[Tokenisation], symbols: int) -> None:
    if not 0 <= c.fraction <= 1:
        raise SetupError(f"objective.on_policy.fraction is {c.fraction}; it is of the steps, from 0 to 1")
    if c.prompt < 1 or c.symbols < 1 or c.prompt + c.symbols > symbols:
        raise SetupError(
            f"objective.on_policy: prompt={c.prompt} bytes and symbols={c.symbols} do not go into rows of {symbols} "
            "(data.symbols), or are less than 1"
        )
    if any(other.kept is not None for other in others):
        raise SetupError("objective.on_policy needs the teacher itself: objective.teacher.cache has not read the texts")
    if jax.process_count() > 1:
        raise SetupError("objective.on_policy runs in one process, on any number of its devices")
