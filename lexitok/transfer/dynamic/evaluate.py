"""Bits per byte of whole documents under merged tokens, beside what is merged and what it saves."""

import dataclasses
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from lexitok.data.encoders import SubwordEncoder
from lexitok.data.windows import ScoredBatch
from lexitok.evals.compressors import compressed_bpb
from lexitok.evals.evaluate import LONGEST_WORD, Evaluation
from lexitok.evals.scoring import score_documents
from lexitok.evals.tally import tally
from lexitok.interfaces.extended import extended
from lexitok.ops.read_out import CHUNK
from lexitok.text.bits import bits_per_byte
from lexitok.text.merging.words import word_starts
from lexitok.text.splitters import make_splitter
from lexitok.transfer.dynamic.batches import Batches, Merging
from lexitok.transfer.dynamic.cache import RowCache
from lexitok.transfer.dynamic.rows import RowMaker
from lexitok.transfer.dynamic.windows import groups, windows
from lexitok.transfer.errors import TransferError


@dataclasses.dataclass(frozen=True)
class DynamicEvaluation:
    """Scores of documents that were read in merged tokens.

    Attributes:
      evaluation: as of `lexitok.evals.evaluate`; its `counts` are of all that was read, its `seconds` with compilation.
      merge_bits: what it takes to say the merges that were found in what is scored: without them nobody can read it.
      tokens: merged tokens of a batch that had rows, the mean over batches.
      hit_rate: of the rows that were asked for, the fraction that a cache had; 0 for a maker that has none.
    """

    evaluation: Evaluation
    merge_bits: float
    tokens: float
    hit_rate: float

    @property
    def bpb(self) -> float:
        """Bits per byte, of every raw byte once, to one who knows the merges."""
        return self.evaluation.bpb

    @property
    def bpb_with_merges(self) -> float:
        """Bits per byte to one who has to be told the merges that were found in what is scored."""
        total = float(sum(score.nbytes for score in self.evaluation.documents))
        return bits_per_byte(self.merge_bits * math.log(2), total) + self.bpb

    @property
    def symbols(self) -> int:
        """Positions that the model read, context included."""
        return int(self.evaluation.counts["symbols_read"])


def evaluate_dynamic(
    model: Any,
    encoder: SubwordEncoder,
    documents: Sequence[bytes],
    merging: Merging,
    maker: RowMaker,
    *,
    words: str = "tokenizer",
    rows: int,
    symbols: int,
    overlap: float,
    chunk: int = CHUNK,
) -> DynamicEvaluation:
    """Scores whole documents on the mesh that is set, or on the default device.

    All evaluations of one text with these `rows`, `symbols` and `overlap` have the same windows in the same batches,
    and score the same bytes in them: without merges, it is the model itself.

    Args:
      model: a subword model.
      encoder: its own.
      documents: raw bytes.
      merging: what is merged.
      maker: makes rows of merged tokens, for this model.
      words: that merges stay within (`lexitok.text.merging.words`).
      rows, symbols: of a batch before anything is merged; rows get shorter with what is saved.
      overlap: fraction of a window that is context. By `enter` nothing else is merged.
      chunk: as of `lexitok.evals.evaluate`.

    Raises:
      TransferError: there are no documents, or as `windows`, `Batches`.
      MergeError: as `lexitok.text.merging.words.word_starts`.
      ScoringError: as of `lexitok.evals.evaluate`.
    """
    if not documents:
        raise TransferError("there are no documents to evaluate")
    starts, vocabulary = word_starts(words, encoder.tokenizer), encoder.vocabulary
    placed = groups(windows(documents, encoder, starts, symbols=symbols, overlap=overlap), rows, symbols)
    make = Batches(vocabulary, merging, maker, rows=rows, symbols=symbols)
    longer, seen = extended(model, merging.reach), Counter()

    def batches() -> Iterator[ScoredBatch]:
        for each in make(placed):
            seen.update({"batches": 1, "tokens": each.tokens, "bits": each.bits})
            yield each.batch, each.scored

    splitter = make_splitter("whitespace", max_unit_bytes=LONGEST_WORD)
    scores, counted, began = [], Counter(), time.perf_counter()
    for i, scored in score_documents(longer, batches(), vocabulary.eot, counted, chunk):
        data = documents[i]
        decoded = vocabulary.decode(encoder.encode(data).symbols)  # merged tokens have the bytes of their parts
        scores.append(tally(scored, data, splitter.split(data), decoded=decoded, eot=vocabulary.eot))
    counts = {name: float(value) for name, value in counted.items()}
    counts["units"] = counts["symbols_read"]
    seconds = time.perf_counter() - began
    evaluation = Evaluation(tuple(scores), splitter.name, seconds, compressed_bpb(documents), counts)
    hit_rate = maker.hit_rate if isinstance(maker, RowCache) else 0.0
    return DynamicEvaluation(evaluation, float(seen["bits"]), seen["tokens"] / seen["batches"], hit_rate)
