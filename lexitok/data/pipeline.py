"""Batches for training: sources → encoder → pieces → packed rows → batches, on Grain, with exact resume."""

from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from lexitok.data.batch import Budget, Tokenisation, described
from lexitok.data.drawn import drawn_iterator, make_drawing
from lexitok.data.encoders import Encoder
from lexitok.data.iterator import READ_AHEAD, TrainIterator, delivered
from lexitok.data.packing import Cutter, Packing, PackIterDataset
from lexitok.data.sources import Corpus, mixed, open_source, shuffled
from lexitok.data.speakers import encoders_of_sources
from lexitok.text.tokenizer_files import load_tokenizer

TOKENIZERS = ("own", "drawn")


def train_iterator(
    config: ConfigDict,
    encoder: Encoder,
    others: Sequence[Tokenisation] = (),
    *,
    share: tuple[int, int] = (0, 1),
) -> TrainIterator:
    """This process's share of the batches that `config.data` and `config.seed` describe, without end.

    Args:
      config: the whole configuration; its `data.tokenizers` is `own`, or `drawn` (`lexitok.data.drawn`).
      encoder: documents to symbols (`make_encoder`), where tokenizers are not drawn.
      others: as of `batch_iterator`.
      share: its number and how many there are: the rows of a batch are divided among them, and the documents too where
        tokenizers are not drawn.

    Raises:
      SourceError: the source cannot be opened.
      FileNotFoundError: there is no file of the source of drawn vocabularies.
      ValueError: rows or documents cannot be divided among the shares, or as `make_drawing`.
    """
    data: Any = config.data
    seed: Any = config.seed
    count = share[1]
    if data.rows % count:
        raise ValueError(f"data.rows is {data.rows}, which cannot be divided among {count} processes")
    corpus = open_source(data.source, data.train_split, cache=data.cache, field=data.field)
    if data.tokenizers == "drawn":
        return drawn_iterator(
            corpus,
            load_tokenizer(data.drawn.source),
            make_drawing(data.drawn),
            rows=data.rows,
            symbols=data.symbols,
            seed=seed,
            workers=data.workers,
            share=share,
            others=others,
        )
    return batch_iterator(
        corpus,
        encoder,
        others,
        rows=data.rows // count,
        symbols=data.symbols,
        units=data.units,
        packing_bins=data.packing_bins,
        parts=data.parts,
        seed=seed,
        workers=data.workers,
        shard=share,
    )


def batch_iterator(
    corpus: Corpus,
    encoder: Encoder,
    others: Sequence[Tokenisation] = (),
    *,
    rows: int,
    symbols: int,
    units: int,
    packing_bins: int = 64,
    parts: Sequence[str] = (),
    seed: int = 0,
    workers: int = 0,
    shard: tuple[int, int] = (0, 1),
    epochs: int | None = None,
) -> TrainIterator:
    """Batches of `rows` rows of `symbols` symbols and `units` units (the latter not for boundary `none`).

    Args:
      others: tokenisations of the same bytes, which each batch then holds beside the first, aligned with it.
      parts: as of `encoders_of_sources`.
      shard: this process and the number of processes.
      epochs: how often to go through the documents; None: without end. After the last one, rows that are missing from
        a batch are padding.
      workers: processes that prepare batches; 0: a thread of this one. The order of documents depends on it.

    Raises:
      PredictionsError: what is kept of a teacher is not of these sources.
    """
    first = Budget.of(encoder, symbols, units)
    for other in others:
        if other.kept is not None:
            corpus = other.kept.beside(corpus)
    of_sources = shuffled(corpus, seed=seed, share=shard, epochs=epochs)
    documents = mixed(of_sources, corpus.weights).to_iter_dataset(READ_AHEAD)
    packing = Packing(rows, first, tuple(other.budget for other in others), packing_bins, seed)
    encoders = encoders_of_sources(encoder, parts, len(corpus.sources))
    batches = PackIterDataset(documents, Cutter(packing, encoders, others), packing)
    settings: dict[str, Any] = {
        "source": [f"{source.name} {source.split} {len(source)}" for source in corpus.sources],
        "weights": list(corpus.weights),
        "vocabulary": encoder.vocabulary.fingerprint,
        "boundary": encoder.boundary,
        "rows": rows,
        "symbols": symbols,
        "units": first.W,
        "packing_bins": packing_bins,
        "seed": seed,
        "shard": list(shard),
        "epochs": epochs,
    }
    if parts:
        settings["parts"] = list(parts)
    return delivered(batches, workers, settings | described(others))
