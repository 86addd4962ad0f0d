"""Tokens as pictures: each drawn with a bitmap font, and squeezed into a square of black and white pixels.

After "Emergent Semantics Beyond Token Embeddings" (arXiv 2507.04886): the characters of a token stand side by side,
each centred in a square cell, and the strip is squeezed in its width until it is square. Differences to the published
tables, which were made with GNU Unifont 14.0.01 at 32 pixels: the strip is drawn at 16 pixels, the font's own size,
and averaged by area where theirs is resized bilinearly; a glyph keeps its height in the cell; and nothing is augmented
(theirs turn Latin, Greek, Cyrillic and Armenian letters by up to 4 degrees, shift, blur and speckle them, with the
same seed for every token). What they have no tokens for is drawn here as a box: see `DRAWINGS`.

A drawing is not a code. Tokens of more characters than the square has columns for become alike, or blank; and many
characters look the same to begin with. `lexitok.interfaces.checks` counts both.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from lexitok.text.hex_font import HEIGHT, HexFont

SIZES = (16, 32, 64)
_HALF = 8  # pixels: strips are put together from columns of this width
_BLOCK = 1 << 24  # pixels of strips that are squeezed at once
_CONTROLS = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0))))  # general category Cc
# 3x5 pixels a digit, a row of three bits in each octal digit.
_DIGITS = [
    "75557",
    "26227",
    "71747",
    "71717",
    "55711",
    "74717",
    "74757",
    "71122",
    "75757",
    "75717",
    "25755",
    "65656",
    "34443",
    "65556",
    "74647",
    "74644",
]


class Drawing(NamedTuple):
    """How tokens are drawn.

    Attributes:
      cells: `square`: every character in a cell of 16 pixels; `own`: in one of its glyph's width, 8 or 16.
      blanks: `blank`: control characters are blank, and so is what the font has no ink for; `numbered`: those are
        drawn as boxes with their number in them, but for spaces beside other characters.
      ink: which pixels of the squeezed strip are black: those of which `half` the area or more is ink, or as much as
        in the `mean` over the drawing or more.
    """

    cells: str
    blanks: str
    ink: str


# In each, what the font has no glyph for is a box with the code point in it, in hexadecimal, as Unifont draws it; a
# byte that is no character, alone or in a token that is not valid UTF-8, is a box with the byte in it; and a token
# without bytes (a special) is white on black.
DRAWINGS = {
    # As the published tables: space, newline, tab and no-break space coincide, and long tokens lose their ink.
    "published": Drawing(cells="square", blanks="blank", ink="half"),
    # As much told apart as a drawing can.
    "legible": Drawing(cells="own", blanks="numbered", ink="mean"),
}


def draw_tokens(
    tokens: Sequence[bytes],
    font: HexFont,
    *,
    size: int = 16,
    drawing: str = "published",
    names: Mapping[int, str] | None = None,
) -> UInt8[np.ndarray, "V packed"]:
    """The picture of each token, `size * size` pixels by rows, eight a byte, the leftmost in the highest bit.

    Args:
      tokens: the bytes of each id.
      font: draws the characters.
      size: of the square, in pixels: one of `SIZES`.
      drawing: one of `DRAWINGS`.
      names: what stands in the picture of a token without bytes, by id; without a name, its id does.

    Raises:
      ValueError: an unknown size or drawing.
    """
    if size not in SIZES or drawing not in DRAWINGS:
        raise ValueError(
            f"there is no drawing '{drawing}' of size {size}; there are {', '.join(DRAWINGS)}, of size "
            f"{', '.join(map(str, SIZES))}"
        )
    how, halves = DRAWINGS[drawing], _Halves(font, DRAWINGS[drawing])
    by_length: dict[int, list[int]] = {}
    strips = [halves.strip(token) if token else halves.special(i, names or {}) for i, token in enumerate(tokens)]
    for i, strip in enumerate(strips):
        by_length.setdefault(len(strip), []).append(i)
    out = np.zeros((len(tokens), size * size // 8), np.uint8)
    pixels_of = halves.all()
    for length, ids in by_length.items():
        for some in _blocks(ids, length):
            cells = pixels_of[np.array([strips[i] for i in some])]
            whole = cells.transpose(0, 2, 1, 3).reshape(len(some), HEIGHT, -1)
            pixels = _squeeze(whole, size, how.ink)
            out[some] = np.packbits(pixels.reshape(len(some), -1), axis=1)
    empty = [i for i, token in enumerate(tokens) if not token]
    out[empty] = ~out[empty]
    return out


def draw(token: bytes, font: HexFont, *, size: int = 16, drawing: str = "published") -> Bool[np.ndarray, "G G"]:
    """The picture of one token; true is ink."""
    return unpack(draw_tokens([token], font, size=size, drawing=drawing))[0]


def unpack(packed: UInt8[np.ndarray, "V packed"]) -> Bool[np.ndarray, "V G G"]:
    """Pictures as `draw_tokens` packed them, a pixel each; true is ink."""
    size = round((8 * packed.shape[1]) ** 0.5)
    return np.unpackbits(packed, axis=1).reshape(-1, size, size).astype(bool)


class _Halves:
    """The half cells that strips are put together from: 8 columns of 16 pixels, each kept once a character."""

    def __init__(self, font: HexFont, how: Drawing):
        self._font, self._how = font, how
        self._halves: list[np.ndarray] = []
        self._of: dict[tuple[str, str], tuple[int, ...]] = {}

    def strip(self, token: bytes) -> list[int]:
        """The half cells of a token with bytes, from left to right."""
        text = token.decode("utf-8", "surrogateescape")  # a byte that is no character: U+DC00 and the byte
        if self._how.blanks == "numbered" and not text.strip(" "):
            return self._joined([("box", "0020")] * len(text))
        return self._joined([("character", char) for char in text])

    def special(self, i: int, names: Mapping[int, str]) -> list[int]:
        """Those of a token without bytes."""
        name = names.get(i)
        return self._joined([("character", char) for char in name] if name else [("box", str(i))])

    def all(self) -> Float[np.ndarray, "halves 16 8"]:
        """The pixels of the half cells, 0 or 1."""
        return np.array(self._halves, np.float32).reshape(-1, HEIGHT, _HALF)

    def _joined(self, keys: list[tuple[str, str]]) -> list[int]:
        strip = [half for key in keys for half in (self._of.get(key) or self._add(key))]
        if len(strip) > 1:
            return strip
        alone = ("alone", keys[0][1])  # a narrow character that has the square to itself
        return list(self._of.get(alone) or self._add(alone))

    def _add(self, key: tuple[str, str]) -> tuple[int, ...]:
        kind, text = key
        picture = _box(text) if kind == "box" else self._character(text)
        if kind == "alone" or self._how.cells == "square":
            picture = _centred(picture)
        at = range(len(self._halves), len(self._halves) + picture.shape[1] // _HALF)
        self._halves += [picture[:, x : x + _HALF] for x in range(0, picture.shape[1], _HALF)]
        self._of[key] = tuple(at)
        return self._of[key]

    def _character(self, char: str) -> np.ndarray:
        code = ord(char)
        if 0xDC80 <= code <= 0xDCFF:
            return _box(f"{code - 0xDC00:02X}")
        control = char in _CONTROLS
        if control and self._how.blanks == "blank":
            return np.zeros((HEIGHT, HEIGHT), bool)
        if control or code not in self._font:
            return _box(f"{code:04X}")
        picture = self._font.bitmap(code)
        return _box(f"{code:04X}") if self._how.blanks == "numbered" and char != " " and not picture.any() else picture


def _centred(picture: np.ndarray) -> np.ndarray:
    side = (HEIGHT - picture.shape[1]) // 2
    out = np.zeros((HEIGHT, HEIGHT), bool)
    out[:, side : HEIGHT - side] = picture
    return out


def _box(text: str) -> np.ndarray:
    """A frame of 16x16 pixels with up to six hexadecimal digits in it, in two rows."""
    if len(text) > 6:
        raise ValueError(f"'{text}' has {len(text)} digits, and a box holds six")
    picture = np.zeros((HEIGHT, HEIGHT), bool)
    picture[[0, -1]] = picture[:, [0, -1]] = True
    columns = -(-len(text) // 2)
    left = (HEIGHT - (4 * columns - 1)) // 2
    for i, digit in enumerate(text):
        y, x = 2 + 7 * (i // columns), left + 4 * (i % columns)
        rows = [[int(bit) for bit in f"{int(row):03b}"] for row in _DIGITS[int(digit, 16)]]
        picture[y : y + 5, x : x + 3] = np.array(rows, bool)
    return picture


def _blocks(ids: list[int], length: int) -> Iterator[list[int]]:
    step = max(1, _BLOCK // (HEIGHT * _HALF * length))
    return (ids[at : at + step] for at in range(0, len(ids), step))


def _squeeze(strips: Float[np.ndarray, "T rows columns"], size: int, ink: str) -> Bool[np.ndarray, "T G G"]:
    """Strips of 16 rows as squares, columns averaged by area.

    In whole numbers, so that the threshold is met exactly, and alike on every machine.
    """
    columns = strips.shape[2]
    edges = np.arange(columns + 1) * size, np.arange(size + 1) * columns  # in units of which both widths are multiples
    start = np.maximum(edges[0][:-1, None], edges[1][None, :-1])
    stop = np.minimum(edges[0][1:, None], edges[1][None, 1:])
    area = np.maximum(stop - start, 0).astype(np.float32)
    grey = strips @ area  # 0 to `columns`
    if ink == "half":
        black = 2 * grey >= columns
    else:
        black = (grey > 0) & (grey * (HEIGHT * size) >= grey.sum(axis=(1, 2), keepdims=True, dtype=np.float64))
    return np.repeat(black, size // HEIGHT, axis=1)
