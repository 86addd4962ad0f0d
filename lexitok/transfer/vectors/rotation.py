"""Two spaces of word vectors brought into one by a rotation, from words that are translations of each other."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import scipy.linalg

from lexitok.data.readers import opened
from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods.similarity import unit
from lexitok.transfer.vectors.word_vectors import WordVectors


def read_dictionary(path: str | Path) -> list[tuple[str, str]]:
    """Pairs of words, of the source's language and the target's: a pair a line, with a tab or spaces between.

    Raises:
      FileNotFoundError: there is no such file.
      TransferError: a line that is no pair, or a file without any; names it.
    """
    pairs = []
    with opened(Path(path).expanduser()) as file:
        for number, line in enumerate(file, 1):
            fields = line.decode(errors="replace").strip().split("\t" if b"\t" in line else None)
            if len(fields) != 2:
                raise TransferError(f"{path}:{number}: not a pair of words: {line[:60]!r}")
            pairs.append((fields[0].strip(), fields[1].strip()))
    if not pairs:
        raise TransferError(f"{path}: the dictionary is empty")
    return pairs


def rotated(source: WordVectors, target: WordVectors, dictionary: Iterable[tuple[str, str]]) -> WordVectors:
    """The target's words with their vectors in the source's space: turned by the orthogonal map that fits best.

    Words of the dictionary are looked for as they are, in lower case and with a capital. Of those that are found on
    both sides the map takes the vectors of one side as near as it can to those of the other, all at length 1
    (orthogonal Procrustes, as WECHSEL does, arXiv 2112.06598, section 3.1).

    Raises:
      TransferError: the spaces have different widths, or no pair is in both; names the numbers.
    """
    A, other = source.rows_WxA.shape[1], target.rows_WxA.shape[1]
    if other != A:
        raise TransferError(f"word vectors are {A} wide for the source and {other} for the target: train them alike")
    rows = [{word: i for i, word in enumerate(side.words)} for side in (source, target)]
    pairs = {(a, b) for ours, theirs in dictionary for a, b in zip(_forms(ours), _forms(theirs), strict=True)}
    found = sorted((rows[0][a], rows[1][b]) for a, b in pairs if a in rows[0] and b in rows[1])
    if not found:
        raise TransferError(f"none of the dictionary's {len(pairs)} pairs is among the words with vectors")
    ours, theirs = np.array(found).T
    x, y = unit(target.rows_WxA[theirs]), unit(source.rows_WxA[ours])
    turn, _ = scipy.linalg.orthogonal_procrustes(x.astype(np.float64), y.astype(np.float64))
    return dataclasses.replace(target, rows_WxA=(target.rows_WxA @ turn).astype(np.float32))


def _forms(word: str) -> tuple[str, str, str]:
    return word, word.lower(), word.title()
