"""How much worse a model reads noisy text (the probe of the HAT paper, arXiv 2501.10322; noise: `perturbations`).

Bits per byte of a perturbed text rise for two reasons: the noise itself is information that any model has to pay for,
and the model is thrown off. All models get the same noise, so differences between their increases are differences
between the models; the increase itself is not "what the noise does". What is free of the noise's own information is
what happens to *untouched* words: the same bytes, predicted once among clean words and once among perturbed ones.
Long words are touched more often, so untouched ones are shorter than most: compare them with themselves, clean.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from lexitok.data.encoders import Encoder
from lexitok.data.windows import eval_batches
from lexitok.evals.evaluate import LONGEST_WORD, EvaluationError
from lexitok.evals.perturbations import PERTURBATIONS, Perturbed, perturb
from lexitok.evals.scoring import score_documents
from lexitok.evals.tally import Scored, nats_by_byte, words_right
from lexitok.ops.read_out import CHUNK
from lexitok.text.bits import bits_per_byte
from lexitok.text.segmentation import Segmentation, Splitter
from lexitok.text.splitters import make_splitter

Measures = dict[str, float | int | None]


@dataclasses.dataclass(frozen=True)
class Reading:
    """What a model makes of a document: nats of each byte, and which of some words it gets right.

    Attributes:
      nats: float64 `[m]`.
      right: bool `[words]`.
    """

    nats: np.ndarray
    right: np.ndarray


def probe(
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
    fraction: float = 0.1,
    seed: int = 0,
) -> dict[str, Any]:
    """Evaluates a model on documents, clean and under each of `PERTURBATIONS`.

    Args:
      model, encoder, documents, rows, symbols, units, overlap, words, chunk: as of `lexitok.evals.evaluate`; batches
        have one shape, so nothing is compiled anew.
      fraction, seed: of the noise.

    Returns:
      `fraction`, `seed`, `documents` and `bytes` (of the clean text), `clean_bpb`; and for each perturbation a dict:

      - `bpb`: of the perturbed text, over its own bytes; `increase`: what it is over `clean_bpb`.
      - `untouched_bpb`, `untouched_clean_bpb`: bits per byte of the words that were not touched, in the perturbed text
        and in the clean one; `untouched_increase`: the difference.
      - `untouched_accuracy`, `untouched_clean_accuracy`: of these words, those all of whose symbols have the largest
        logit.
      - `untouched_bytes`, `hit`: bytes of untouched words, and characters that were drawn.

      None where there is nothing to divide by. The nats of a symbol of several bytes are spread over them evenly.

    Raises:
      EvaluationError: there are no documents.
      PerturbationError: a document is not valid UTF-8, or the fraction is not in [0, 1].
    """
    if not documents:
        raise EvaluationError("there are no documents to probe: check data.source and data.validation_split")
    splitter = make_splitter(words, max_unit_bytes=LONGEST_WORD) if isinstance(words, str) else words
    noisy = {
        name: [perturb(d, name, fraction=fraction, seed=seed, source=f"document {i}") for i, d in enumerate(documents)]
        for name in PERTURBATIONS
    }
    segmentations = [splitter.split(data) for data in documents]

    def read(texts: Sequence[bytes], segmentation: Callable[[int], Segmentation]) -> Iterator[Reading]:
        batches = eval_batches(texts, encoder, rows=rows, symbols=symbols, units=units, overlap=overlap)
        for i, scored in score_documents(model, batches, encoder.vocabulary.eot, chunk=chunk):
            yield _reading(scored, encoder.vocabulary.eot, segmentation(i))

    clean = list(read(documents, segmentations.__getitem__))
    clean_bpb = _bpb((r.nats for r in clean), sum(map(len, documents)))
    out: dict[str, Any] = {
        "fraction": fraction,
        "seed": seed,
        "documents": len(documents),
        "bytes": sum(map(len, documents)),
        "clean_bpb": _defined(clean_bpb),
    }
    for name, texts in noisy.items():
        kept = [Untouched.of(text, words) for text, words in zip(texts, segmentations, strict=True)]
        readings = read([text.data for text in texts], lambda i, kept=kept: kept[i].segmentation)
        out[name] = _measures(clean, clean_bpb, list(readings), texts, kept)
    return out


@dataclasses.dataclass(frozen=True)
class Untouched:
    """The words of a document that no perturbation touched.

    Attributes:
      words: bool, of each word of the clean document.
      clean, noisy: int64, the bytes of these words in the clean and in the perturbed document, in order.
      segmentation: of the perturbed document, in which each of these words is a unit.
      index: int64, the unit that each of these words is there.
    """

    words: np.ndarray
    clean: np.ndarray
    noisy: np.ndarray
    segmentation: Segmentation
    index: np.ndarray

    @classmethod
    def of(cls, text: Perturbed, words: Segmentation) -> "Untouched":
        word_of = np.cumsum(words.starts) - 1
        touched = np.bincount(word_of[text.image < 0], minlength=int(words.starts.sum())) > 0
        clean = np.flatnonzero(~touched[word_of]) if len(word_of) else np.zeros(0, np.int64)
        first, after = np.flatnonzero(words.starts)[~touched], words.ends()[~touched]
        starts = np.zeros(len(text.data) + 1, bool)
        starts[:1] = True
        starts[text.image[first]] = True
        starts[text.image[after - 1] + 1] = True
        starts = starts[:-1]  # a unit that would begin at the end of the text is none
        index = (np.cumsum(starts) - 1)[text.image[first]]
        return cls(~touched, clean, text.image[clean], Segmentation(starts, np.cumsum(starts, dtype=np.int32)), index)


def _reading(scored: Scored, eot: int, words: Segmentation) -> Reading:
    return Reading(nats_by_byte(scored, eot), words_right(scored, eot, words))


def _measures(
    clean: Sequence[Reading],
    clean_bpb: float,
    noisy: Sequence[Reading],
    texts: Sequence[Perturbed],
    kept: Sequence[Untouched],
) -> Measures:
    nbytes, words = sum(len(k.clean) for k in kept), sum(len(k.index) for k in kept)
    bpb = _bpb((r.nats for r in noisy), sum(len(t.data) for t in texts))
    before = _bpb((r.nats[k.clean] for r, k in zip(clean, kept, strict=True)), nbytes)
    after = _bpb((r.nats[k.noisy] for r, k in zip(noisy, kept, strict=True)), nbytes)
    right_before = sum(int(r.right[k.words].sum()) for r, k in zip(clean, kept, strict=True))
    right_after = sum(int(r.right[k.index].sum()) for r, k in zip(noisy, kept, strict=True))
    measures = {
        "bpb": bpb,
        "increase": bpb - clean_bpb,
        "untouched_bpb": after,
        "untouched_clean_bpb": before,
        "untouched_increase": after - before,
        "untouched_accuracy": right_after / words if words else math.nan,
        "untouched_clean_accuracy": right_before / words if words else math.nan,
    }
    defined = {name: _defined(value) for name, value in measures.items()}
    return defined | {"untouched_bytes": nbytes, "hit": sum(t.hit for t in texts)}


def _bpb(nats: Iterable[np.ndarray], nbytes: int) -> float:
    return bits_per_byte(math.fsum(float(n.sum()) for n in nats), float(nbytes))


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None
