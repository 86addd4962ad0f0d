"""Vectors of words from files: the text format of word2vec and fastText, or an array beside a list of words."""

from pathlib import Path

import numpy as np

from lexitok.data.readers import opened
from lexitok.transfer.errors import TransferError
from lexitok.transfer.vectors.word_vectors import WordVectors


def read_word_vectors(path: str | Path) -> WordVectors:
    """Reads `NAME.vec`, a word and its numbers in each line, or `NAME.npy` with the words in the lines of `NAME.txt`.

    The first line may say how many there are and how wide, as word2vec and fastText write it. Files of text may be
    compressed. Words stand in them by falling frequency: the one of rank `r` is counted `1 / r` times, as Zipf has it.
    Of a word that comes twice the first counts.

    Raises:
      FileNotFoundError: there is no such file, or no list of words beside the array.
      TransferError: a file that holds something else, or a number that is not finite; names file and line.
    """
    path = Path(path).expanduser()
    words, rows = _of_array(path) if path.suffix == ".npy" else _of_text(path)
    if not words:
        raise TransferError(f"{path}: there are no vectors in it")
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise TransferError(f"{path}: the vector of {words[int(np.argmin(finite))]!r} is not finite")
    first = {word: i for i, word in reversed(list(enumerate(words)))}
    kept = np.array(sorted(first.values()))
    return WordVectors(tuple(words[i] for i in kept), rows[kept], 1.0 / np.arange(1, len(kept) + 1))


def _of_array(path: Path) -> tuple[list[str], np.ndarray]:
    with opened(path.with_suffix(".txt")) as file:
        words = file.read().decode().removesuffix("\n").split("\n")
    try:
        rows = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise TransferError(f"{path}: not an array: {error}") from error
    if rows.ndim != 2 or len(rows) != len(words) or not np.issubdtype(rows.dtype, np.floating):
        raise TransferError(f"{path}: an array {rows.dtype}{list(rows.shape)} for the {len(words)} words beside it")
    return words, rows.astype(np.float32)


def _of_text(path: Path) -> tuple[list[str], np.ndarray]:
    words, rows, width = [], [], 0
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            fields: list[str] = []
            try:
                fields = line.decode().rstrip().split(" ")
                if number == 1 and len(fields) == 2 and all(map(str.isdecimal, fields)):
                    continue
                width = width or len(fields) - 1
                row = np.array(fields[-width:], np.float32)
            except ValueError:  # of a number, or of UTF-8
                row = None
            if row is None or not width or len(fields) != width + 1:
                raise TransferError(f"{path}:{number}: not a word and {width or 'some'} numbers: {line[:40]!r}")
            words.append(fields[0])
            rows.append(row)
    return words, np.array(rows, np.float32).reshape(len(rows), width)
