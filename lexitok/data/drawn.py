"""Batches for training, each under a tokenizer that is drawn for it: what hypernetworks are trained on (ZeTT,
arXiv 2405.07883).

For each batch a tokenizer is drawn from the text that comes (`lexitok.data.text_stream`), the text is encoded with it
and packed until a piece fits into no row, and the rest waits for the next batch: pieces end at words, so that it is cut
where the next tokenizer cuts too. The batch's vocabulary is the `Spelling` of that tokenizer, in tokens of the source.

Every process reads all the text and makes whole batches, of which it takes its share of the rows: all have to draw the
same tokenizer, as every device has the vocabulary whole, and drawing is most of the work. So rows do not depend on how
many processes there are.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import grain
import numpy as np
from ml_collections import ConfigDict

from lexitok.data.batch import Budget, Tokenisation, described
from lexitok.data.encoders import SubwordEncoder
from lexitok.data.iterator import READ_AHEAD, TrainIterator, delivered
from lexitok.data.packing import Group, Packed, Packing
from lexitok.data.sources import Corpus, mixed, shuffled
from lexitok.data.spelling import Spelled
from lexitok.data.text_stream import Beside, TextStream
from lexitok.text.alignment import classes_of
from lexitok.text.drawn.sampler import SamplerSettings, TokenizerSampler
from lexitok.text.drawn.unigram import SPECIALS
from lexitok.text.vocabulary import Tokenizer

LANGUAGES = ("mixed", "apart")
_BYTES_PER_SYMBOL = 4  # of a stretch for which a batch has room, about


@dataclasses.dataclass(frozen=True)
class Drawing:
    """How the vocabularies of batches are made.

    Attributes:
      settings: what tokenizers are drawn; their noise follows from the seed of the batches too.
      parts: `P`, in how many tokens of the source one of theirs is spelled at most.
      languages: `mixed`: sources are one text, of language 0; `apart`: every batch and its tokenizer are of one source,
        whose number is the language, and a weight is a share of the batches.
    """

    settings: SamplerSettings
    parts: int = 8
    languages: str = "mixed"

    def __post_init__(self) -> None:
        if self.languages not in LANGUAGES:
            raise ValueError(f"data.drawn.languages is {self.languages!r}; there are {', '.join(LANGUAGES)}")
        if self.parts < 1:
            raise ValueError(f"data.drawn.parts is {self.parts}; 1 is the least")
        TokenizerSampler(self.settings)  # refuses what cannot be


def make_drawing(c: ConfigDict) -> Drawing:
    """How a config section `data.drawn` says that vocabularies are made.

    Raises:
      ValueError: no source is named, or a setting cannot be.
    """
    if not c.source:
        raise ValueError("data.drawn.source is empty; it is the file of the tokenizer that spells the drawn tokens")
    names = [field.name for field in dataclasses.fields(SamplerSettings) if field.name in c]
    settings = SamplerSettings(**{name: getattr(c, name) for name in names})
    return Drawing(settings, c.parts, c.languages)


def drawn_iterator(
    corpus: Corpus,
    source: Tokenizer,
    drawing: Drawing,
    *,
    rows: int,
    symbols: int,
    seed: int = 0,
    workers: int = 0,
    share: tuple[int, int] = (0, 1),
    epochs: int | None = None,
    others: Sequence[Tokenisation] = (),
) -> TrainIterator:
    """Batches of `rows` rows of `symbols` symbols, or of a share of the rows, each with a vocabulary of its own.

    Args:
      corpus: the documents.
      source: the tokenizer that spells the tokens of the others.
      drawing: how vocabularies are made.
      rows, symbols: `B` and `S` of the whole batch.
      seed: of the order of documents and rows, and of the noise of tokenizers.
      workers: processes that prepare batches, each from a part of the documents with a window of its own; 0: a thread
        of this one. What is drawn depends on it.
      share: its number, and among how many the rows are divided.
      epochs: how often to go through the documents; None: without end.
      others: tokenisations of the same bytes, which each batch then holds beside that of the drawn tokenizer.

    Raises:
      ValueError: the rows cannot be divided, or as `Spelled`.
    """
    if rows % share[1]:
        raise ValueError(f"{rows} rows cannot be divided among {share[1]} processes")
    parts = shuffled(corpus, seed=seed, epochs=epochs)
    if drawing.languages == "mixed":
        parts, weights = [mixed(parts, corpus.weights)], [1.0]
    else:
        weights = list(corpus.weights)
    documents = [part.to_iter_dataset(READ_AHEAD) for part in parts]
    budget = Budget(symbols, None, pad=list(SPECIALS).index("pad"))
    beside = tuple(other.budget for other in others)
    packing = Packing(rows, budget, beside, bins=rows, seed=seed, share=share)
    settings: dict[str, Any] = {
        "source": [f"{source.name} {source.split} {len(source)}" for source in corpus.sources],
        "weights": list(corpus.weights),
        "tokenizers": {
            **dataclasses.asdict(drawing.settings),
            "source": source.vocabulary.fingerprint,
            "parts": drawing.parts,
            "languages": drawing.languages,
        },
        "rows": rows,
        "symbols": symbols,
        "seed": seed,
        "shard": list(share),
        "epochs": epochs,
    }
    batches = DrawnIterDataset(documents, weights, source, drawing, packing, others)
    return delivered(batches, workers, settings | described(others))


class DrawnIterDataset(grain.IterDataset):
    """Raw documents, in one stream a language → `Packed` batches."""

    def __init__(
        self,
        parents: Sequence[grain.IterDataset],
        weights: Sequence[float],
        source: Tokenizer,
        drawing: Drawing,
        packing: Packing,
        others: Sequence[Tokenisation] = (),
    ):
        super().__init__(parents)
        self._weights, self._source, self._drawing, self._packing = weights, source, drawing, packing
        self._others = others
        self._worker = 0

    def set_slice(self, sl: slice, sequential_slice: bool = False) -> None:
        """Takes a part of the documents, in a worker process; Grain calls this."""
        self._worker = sl.start
        parents: Any = self.parents
        for parent in parents:
            parent.set_slice(sl, sequential_slice)

    def __iter__(self) -> grain.DatasetIterator:
        parents = [iter(parent) for parent in self.parents]
        spelled = Spelled(self._source, self._drawing.parts)
        settings = self._drawing.settings
        return DrawnIterator(parents, self._weights, spelled, settings, self._packing, self._worker, self._others)


class DrawnIterator(grain.DatasetIterator):
    """Its state is the place in each stream of text, and how many tokenizers were drawn there."""

    def __init__(
        self,
        parents: Sequence[grain.DatasetIterator],
        weights: Sequence[float],
        spelled: Spelled,
        settings: SamplerSettings,
        packing: Packing,
        worker: int = 0,
        others: Sequence[Tokenisation] = (),
    ):
        super().__init__(parents)
        self._weights, self._spelled, self._packing = weights, spelled, packing
        self._beside = [Beside(o.encoder, o.symbols, classes_of(o.encoder.vocabulary)) for o in others]
        stretch_bytes = min(settings.window_bytes, _BYTES_PER_SYMBOL * packing.rows * packing.first.S)
        self._streams = []
        for number, parent in enumerate(parents):
            own = np.random.SeedSequence((packing.seed, settings.seed, number, worker)).generate_state(1)[0]
            self._streams.append(TextStream(parent, dataclasses.replace(settings, seed=int(own)), stretch_bytes))

    def get_state(self) -> dict[str, Any]:
        return {"streams": [stream.get_state() for stream in self._streams]}

    def set_state(self, state: dict[str, Any]) -> None:
        for stream, of_stream in zip(self._streams, state["streams"], strict=True):
            stream.set_state(of_stream)

    def __next__(self) -> Packed:
        streams = sorted(enumerate(self._streams), key=lambda at: (at[1].drawn + 1) / self._weights[at[0]])
        for language, stream in streams:  # the next, if one has come to its end
            packed = self._packed(stream, language)
            if packed is not None:
                return packed
        raise StopIteration

    def _packed(self, stream: TextStream, language: int) -> Packed | None:
        number = sum(each.drawn for each in self._streams)
        tokenizer = stream.sample()
        if tokenizer is None:
            return None
        group = Group(self._packing)
        stream.fill(group, SubwordEncoder(tokenizer), self._packing.first.S, self._beside)
        if group.is_empty:
            return None
        (packed,) = group.batches((self._packing.seed, number))
        vocabulary = self._spelled(tokenizer.vocabulary, language)
        return Packed(dataclasses.replace(packed.batch, vocabulary=vocabulary), packed.account)
