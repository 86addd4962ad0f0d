"""Bits per byte of whole documents, and what goes with it.

Long documents are read in windows that overlap: a symbol that was scored in one window is only context in the next,
so every byte is scored once, with as much context as the overlap gives it.
"""

import dataclasses
import functools
import math
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lexitok.data.encoders import Encoder
from lexitok.data.readers import RawDocument
from lexitok.data.windows import eval_batches
from lexitok.evals.chats import chat_of, learnt_alone, learnt_of, words_of
from lexitok.evals.compressors import compressed_bpb
from lexitok.evals.scoring import compile_for, score_documents
from lexitok.evals.tally import DocumentScore, Scored, tally
from lexitok.ops.read_out import CHUNK
from lexitok.runs.documents import write_documents
from lexitok.text.bits import bits_per_byte
from lexitok.text.segmentation import Splitter
from lexitok.text.splitters import make_splitter

LONGEST_WORD = 2**20  # bytes: words are not to be cut, as units are


class EvaluationError(ValueError):
    """Documents that cannot be evaluated; the message says why."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A model's scores on documents, each on its own: sums, in float64.

    Attributes:
      documents: a score for each, in order.
      words: name of the splitter that words are defined by.
      seconds: wall-clock of scoring, without compilation.
      references: bits per byte of compressors on the same bytes, see `compressed_bpb`.
      counts: what the model counted in all windows, and `bytes_read` and `symbols_read` there; `units`.
    """

    documents: tuple[DocumentScore, ...]
    words: str
    seconds: float
    references: dict[str, float]
    counts: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def bpb(self) -> float:
        """Bits per byte: nats of text and end-of-unit symbols over the bytes of the raw documents."""
        return bits_per_byte(self._sum("nats"), self._sum("nbytes"))

    def summary(self) -> dict[str, float | int | str | None]:
        """All measures in one flat dict; None where a measure is not defined.

        - `bpb`, and of it `first_byte_bpb` and `rest_bpb`: of the first bytes of words, and of the others (only where
          symbols are bytes). An end-of-unit symbol counts to the byte after it.
        - `next_word_accuracy`: words all of whose symbols have the largest logit, teacher-forced.
        - `fraction_scored`: of the raw bytes. `lossy_documents`: those whose symbols stand for other bytes than theirs.
        - `eot_nats`: of the end of a document, in chats of turns, the mean over documents; in no bpb.
        - `bytes_per_second`: of this evaluation. `bytes_per_unit`: of all that was read; a token is a unit.
        """
        nbytes, words, nats = self._sum("nbytes"), self._sum("words"), self._sum("nats")
        first, units = self._sum("first_nats"), self.counts.get("units", 0.0)
        measures = {
            "bpb": self.bpb,
            "first_byte_bpb": bits_per_byte(first, words),
            "rest_bpb": bits_per_byte(nats - first, nbytes - words),
            "next_word_accuracy": self._sum("words_right") / words if words else math.nan,
            "fraction_scored": self._sum("scored") / nbytes if nbytes else math.nan,
            "eot_nats": self._sum("eot_nats") / len(self.documents),
            "bytes_per_second": nbytes / self.seconds,
            "bytes_per_unit": self.counts["bytes_read"] / units if units else math.nan,
            **self.references,
        }
        defined = {name: value if math.isfinite(value) else None for name, value in measures.items()}
        counts = {
            "bytes": int(nbytes),
            "documents": len(self.documents),
            "lossy_documents": int(self._sum("lossy")),
            "words": int(words),
        }
        return {**defined, **counts, "word_splitter": self.words}

    def save_documents(self, path: Path) -> None:
        """Writes the score of each document as a line, for `lexitok.analysis.paired`."""
        write_documents(path, self.documents)

    def _sum(self, name: str) -> float:
        return math.fsum(getattr(score, name) for score in self.documents)


def evaluate_by_source(
    model: Any, encoders: Sequence[Encoder], documents: Sequence[RawDocument], **how: Any
) -> Evaluation:
    """As `evaluate`, each document by the encoder of its source.

    Args:
      model: has `read_out(batch, query)`.
      encoders: of each source.
      documents: with the number of their source.
      how: the other arguments of `evaluate`.

    Raises:
      EvaluationError, MeshError, ScoringError: as `evaluate`.
    """
    groups: dict[int, list[int]] = {}  # documents by the first source that has their encoder
    for i, document in enumerate(documents):
        groups.setdefault(encoders.index(encoders[document.source]), []).append(i)
    if len(groups) < 2:
        return evaluate(model, encoders[next(iter(groups), 0)], [document.data for document in documents], **how)
    scores: dict[int, DocumentScore] = {}
    counts, seconds, words = Counter(), 0.0, ""
    for number, at in groups.items():
        found = evaluate(model, encoders[number], [documents[i].data for i in at], **how)
        scores |= dict(zip(at, found.documents, strict=True))
        counts.update(found.counts)
        seconds, words = seconds + found.seconds, found.words
    references = compressed_bpb([learnt_of(encoders[document.source], document.data) for document in documents])
    return Evaluation(tuple(scores[i] for i in range(len(documents))), words, seconds, references, dict(counts))


def evaluate(
    model: Any,
    encoder: Encoder,
    documents: Sequence[bytes],
    *,
    rows: int,
    symbols: int,
    units: int,
    overlap: float,
    words: str | Splitter = "whitespace",
    chunk: int = CHUNK,
    vocabulary: Any = None,
) -> Evaluation:
    """Scores whole documents on the mesh that is set (`jax.set_mesh`), rows split over it, or on the default device.

    Args:
      model: has `read_out(batch, query)`.
      encoder: makes its symbols of the documents.
      documents: raw bytes; of chats, what is learnt counts.
      rows, symbols, units: `B`, `S` and `W` of the batches, all of one shape; the last is filled with padding.
      overlap: fraction of a window of a long document that is context for the rest.
      words: splitter of the raw bytes, by its name or itself; to be the same for all models that are compared.
      chunk: positions of a row whose logits are computed at once: no result depends on it, memory does.
      vocabulary: of every batch, where the encoder's is another than the model's own: what the model's interface makes
        the vectors of its symbols from (as `Spelled(source, P)(encoder.vocabulary)`, of `lexitok.data.spelling`).

    Raises:
      EvaluationError: there are no documents.
      MeshError: the rows cannot be split over the mesh.
      ScoringError: a symbol was scored twice, never, or its nats are not finite.
    """
    if not documents:
        raise EvaluationError("there are no documents to evaluate: check data.source and data.validation_split")
    splitter = make_splitter(words, max_unit_bytes=LONGEST_WORD) if isinstance(words, str) else words
    batches = functools.partial(
        eval_batches,
        documents,
        encoder,
        vocabulary=vocabulary,
        rows=rows,
        symbols=symbols,
        units=units,
        overlap=overlap,
        chats=True,
    )
    compile_for(model, next(batches())[0], chunk)
    began = time.perf_counter()
    eot, scores, counted = encoder.vocabulary.eot, [], Counter()
    for i, scored in score_documents(model, batches(), eot, counted, chunk):
        scores.append(_score(scored, documents[i], encoder, splitter))
    seconds = time.perf_counter() - began
    counts = {name: float(value) for name, value in counted.items()}
    if not encoder.rule.has_units:  # every symbol is one
        counts["units"] = counts["symbols_read"]
    references = compressed_bpb([learnt_of(encoder, data) for data in documents])
    return Evaluation(tuple(scores), splitter.name, seconds, references, counts)


def _score(scored: Scored, data: bytes, encoder: Encoder, splitter: Splitter) -> DocumentScore:
    """Of a document; of a chat, of what is learnt."""
    eot = encoder.vocabulary.eot
    chat = chat_of(encoder, data)
    if chat is None:
        words = splitter.split(data)
    else:
        scored, data, words = learnt_alone(scored, chat, eot), b"".join(chat.learnt), words_of(chat, splitter)
    return tally(scored, data, words, decoded=encoder.decode(scored.symbols.tolist()), eot=eot)
