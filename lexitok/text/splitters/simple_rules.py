"""The rules that need one look at their neighbour: `whitespace`, `spacelike` and `stride`."""

import numpy as np
from jaxtyping import Bool, UInt8

from lexitok.text.splitters.unicode_tables import word_properties


def _look_up(table: Bool[np.ndarray, "256"], index: UInt8[np.ndarray, "c"]) -> Bool[np.ndarray, "c"]:
    return np.frombuffer(index.tobytes().translate(table.tobytes()), bool)  # faster than `take`


class Whitespace:
    """HAT v1 (arXiv 2501.10322): a unit is a run of other characters and the run of whitespace behind it.

    Whitespace is Unicode's White_Space. A run of it at the start of the text is a unit of its own.
    """

    name = "whitespace"

    def __init__(self) -> None:
        self._white = word_properties().mask(lambda c: c.has("White_Space"))

    def starts(self, classes: UInt8[np.ndarray, "c"]) -> Bool[np.ndarray, "c"]:
        """Where units start."""
        white = _look_up(self._white, classes)
        starts = np.ones(len(classes), bool)
        np.greater(white[:-1], white[1:], out=starts[1:])
        return starts

    def machine(self) -> "WhitespaceMachine":
        return WhitespaceMachine(self._white)

    def digit_roles(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Digits; what may stand before one in its unit; what may stand behind."""
        return word_properties().mask(lambda c: c.has("Nd")), self._white, self._white


class WhitespaceMachine:
    def __init__(self, white: np.ndarray) -> None:
        self._white = white
        self._after_white = True

    def step(self, character: int) -> bool:
        """Reads the class of a character; returns whether a unit starts before it."""
        white = bool(self._white[character])
        start = self._after_white and not white
        self._after_white = white
        return start


def _spacelike_bytes() -> np.ndarray:
    byte = np.arange(256)
    alphanumeric = np.array([chr(b).isalnum() and b < 0x80 for b in range(256)])
    return np.where(byte < 0x80, ~alphanumeric, byte >= 0xC0)


_SPACELIKE = _spacelike_bytes()
_DIGIT = np.array([ord("0") <= b <= ord("9") for b in range(256)])


class Spacelike:
    """SpaceByte (arXiv 2404.14408): a unit ends with each space-like byte that follows one that is not.

    Space-like are the ASCII bytes that are no letters or digits, and the bytes from 0xC0, which begin a character of
    more bytes. The text is taken to follow a space-like byte, as in SpaceByte it follows a start symbol that is one.
    """

    name = "spacelike"

    def ends(self, data: UInt8[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
        """After which bytes units end."""
        spacelike = _look_up(_SPACELIKE, data)
        ends = np.zeros(len(data), bool)
        np.greater(spacelike[1:], spacelike[:-1], out=ends[1:])
        return ends

    def machine(self) -> "SpacelikeMachine":
        return SpacelikeMachine()

    def digit_roles(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Digits; what may stand before one in its unit; what may stand behind."""
        return _DIGIT, _SPACELIKE, _SPACELIKE


class SpacelikeMachine:
    def __init__(self) -> None:
        self._after_spacelike = True

    def step(self, byte: int) -> bool:
        """Reads a byte; returns whether a unit ends with it."""
        spacelike = bool(_SPACELIKE[byte])
        end = spacelike and not self._after_spacelike
        self._after_spacelike = spacelike
        return end


class Stride:
    """A unit ends with every `stride`-th byte of the text (MEGABYTE's patches, arXiv 2305.07185)."""

    name = "stride"

    def __init__(self, stride: int) -> None:
        if stride < 1:
            raise ValueError(f"stride is {stride}; it must be at least 1 byte")
        self._stride = stride

    def ends(self, data: UInt8[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
        """After which bytes units end."""
        ends = np.zeros(len(data), bool)
        ends[self._stride - 1 :: self._stride] = True
        return ends

    def machine(self) -> "StrideMachine":
        return StrideMachine(self._stride)

    def digit_roles(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Digits; what may stand before one in its unit; what may stand behind."""
        return _DIGIT, np.zeros(256, bool), np.zeros(256, bool)


class StrideMachine:
    def __init__(self, stride: int) -> None:
        self._stride = stride
        self._bytes = 0

    def step(self, byte: int) -> bool:
        """Reads a byte; returns whether a unit ends with it."""
        self._bytes = (self._bytes + 1) % self._stride
        return self._bytes == 0
