"""Symbols renamed by when they first occur in their row: what a row means if its symbols mean nothing."""

import dataclasses

import numpy as np

from lexitok.data.batch import Batch


def by_first_occurrence(batch: Batch, V: int) -> tuple[Batch, np.ndarray]:
    """A batch whose symbols are numbers: the first symbol of a row is 0, the next new one 1, and so on.

    Symbols that are not in a row get the numbers that are left, in their order. A number depends only on what is before
    the symbol. Texts that differ in nothing but the names of their symbols become the same batch; so a model that draws
    a vector for each number is lexinvariant exactly, and not only on average over its draws.

    Args:
      batch: of symbols below `V`; padding counts as a symbol.
      V: how many symbols there are.

    Returns:
      The batch, of numpy arrays where it is changed, and the number of each symbol in each row, int64 `[B, V]`.
    """
    symbols, targets = np.asarray(batch.tokens.symbols_BxS), np.asarray(batch.tokens.targets_BxS)
    read = np.stack([symbols, targets], axis=-1).reshape(len(symbols), -1)  # a target is met before what follows it
    ranks = np.stack([_ranks(row, V) for row in read])
    renamed = [np.take_along_axis(ranks, x, axis=1).astype(np.int32) for x in (symbols, targets)]
    tokens = dataclasses.replace(batch.tokens, symbols_BxS=renamed[0], targets_BxS=renamed[1])
    return dataclasses.replace(batch, tokens=tokens), ranks


def _ranks(row: np.ndarray, V: int) -> np.ndarray:
    """int64 `[V]`."""
    found, first = np.unique(row, return_index=True)
    order = np.append(found[np.argsort(first)], np.setdiff1d(np.arange(V), found))
    ranks = np.empty(V, np.int64)
    ranks[order] = np.arange(V)
    return ranks
