"""Noise of the HAT paper's robustness probe (arXiv 2501.10322): characters swapped, replaced or dropped, upper case.

What may be hit are characters inside words: those that are letters, digits or marks, and whose neighbours on both sides
are too. (The paper's texts are Latin. There are scripts whose vowels are marks, as Khmer, where hardly a character has
letters on both sides.) Of these, a fraction is drawn without replacement, from a seed and the document's own bytes: a
document is hit at the same characters by all three, in whatever company it comes.
"""

import dataclasses
import functools
import hashlib
import random
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np

REPLACEMENTS = (33, 126)  # the first and the last code point that `replace` draws from: printable ASCII
Perturbation = Callable[[Sequence[str], Sequence[int], random.Random], list[str]]


class PerturbationError(ValueError):
    """Text that has no characters, or a fraction that is none; the message says which, and where."""


@dataclasses.dataclass(frozen=True)
class Perturbed:
    """A perturbed document of `n` bytes, whose raw document had `m`.

    Attributes:
      data: the perturbed document.
      image: int64 `[m]`; where in `data` each raw byte stands, or -1 where its character was changed or is gone.
      hit: how many characters were drawn (`upper`: were changed).
    """

    data: bytes
    image: np.ndarray
    hit: int


def candidates(characters: Sequence[str]) -> np.ndarray:
    """int64: places of the letters, digits and marks between two others."""
    inside = np.fromiter(map(_in_words, characters), bool, len(characters))
    return np.flatnonzero(inside[:-2] & inside[1:-1] & inside[2:]) + 1


@functools.lru_cache(maxsize=4096)
def _in_words(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character).startswith("M")


def swap(characters: Sequence[str], chosen: Sequence[int], rng: random.Random) -> list[str]:
    """Every chosen place changes its character with the next place's, from left to right.

    Where a chosen place follows another, the character that just came there is carried on.
    """
    del rng
    out = list(characters)
    for i in chosen:
        out[i], out[i + 1] = out[i + 1], out[i]
    return out


def replace(characters: Sequence[str], chosen: Sequence[int], rng: random.Random) -> list[str]:
    """Every chosen place gets a random printable ASCII character, which may be the one it had."""
    out = list(characters)
    first, last = REPLACEMENTS
    for i in chosen:
        out[i] = chr(first + int(rng.random() * (last + 1 - first)))
    return out


def drop(characters: Sequence[str], chosen: Sequence[int], rng: random.Random) -> list[str]:
    """Every chosen place is left empty."""
    del rng
    out = list(characters)
    for i in chosen:
        out[i] = ""
    return out


def upper(characters: Sequence[str], chosen: Sequence[int], rng: random.Random) -> list[str]:
    """All in upper case, whatever was chosen; some characters become two or three ("ß": "SS")."""
    del chosen, rng
    return [c.upper() for c in characters]


PERTURBATIONS: dict[str, Perturbation] = {"swap": swap, "replace": replace, "drop": drop, "upper": upper}


def perturb(data: bytes, name: str, *, fraction: float = 0.1, seed: int = 0, source: str = "text") -> Perturbed:
    """Perturbs a document.

    Args:
      data: the raw document, valid UTF-8.
      name: one of `PERTURBATIONS`.
      fraction: of the candidates that are drawn, rounded down; `upper` changes everything.
      seed: the same seed and document give the same result.
      source: what errors call the document.

    Raises:
      PerturbationError: the document is not valid UTF-8, the fraction is not in [0, 1], or there is no such name.
    """
    if name not in PERTURBATIONS:
        raise PerturbationError(f"unknown perturbation '{name}'; there are {', '.join(PERTURBATIONS)}")
    if not 0 <= fraction <= 1:
        raise PerturbationError(f"fraction is {fraction}; it is of the characters inside words, between 0 and 1")
    characters = _characters(data, source)
    # Of this generator, only `random` is promised to be the same in every version of Python.
    rng = random.Random(f"{seed} {hashlib.sha256(data).hexdigest()}")
    chosen = _draw(candidates(characters).tolist(), fraction, rng)
    out = PERTURBATIONS[name](characters, chosen, rng)
    image = _image(characters, out)
    hit = sum(a != b for a, b in zip(characters, out, strict=True)) if name == "upper" else len(chosen)
    return Perturbed("".join(out).encode(), image, hit)


def _draw(places: Sequence[int], fraction: float, rng: random.Random) -> list[int]:
    """A fraction of the places without replacement, ascending."""
    shuffled = sorted((rng.random(), place) for place in places)
    return sorted(place for _, place in shuffled[: int(len(places) * fraction)])


def _characters(data: bytes, source: str) -> list[str]:
    try:
        return list(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise PerturbationError(
            f"{source} is not valid UTF-8 at byte {error.start}: it has no characters to perturb there; leave it out"
        ) from None


def _image(before: Sequence[str], after: Sequence[str]) -> np.ndarray:
    """The place of each byte of `before` in `after`, which has a string for each of its characters; -1 if changed."""
    old = np.fromiter((len(c.encode()) for c in before), np.int64, len(before))
    new = np.fromiter((len(c.encode()) for c in after), np.int64, len(after))
    kept = np.fromiter((a == b for a, b in zip(before, after, strict=True)), bool, len(before))
    shift = np.repeat(np.cumsum(new) - new - np.cumsum(old) + old, old)
    return np.where(np.repeat(kept, old), np.arange(old.sum()) + shift, -1)
