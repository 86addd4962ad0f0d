"""Frozen glyphs: a symbol enters as a picture of its text, which is never trained (arXiv 2507.04886)."""

import functools
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict, FrozenConfigDict

from lexitok.interfaces.learned_read_out import LearnedReadOut
from lexitok.made import made
from lexitok.text.drawing import draw_tokens, unpack
from lexitok.text.hex_font import HEIGHT, FontError, HexFont

DISTINCT = ("published", "told_apart")
_BLOCK = 1 << 14  # tokens whose pixels are unpacked at once


class Glyphs(LearnedReadOut):
    """Pictures as vectors of `D` elements, without parameters; the read-out is learned.

    The pixels of a symbol, 0 or 1, less their mean over the vocabulary, are brought to one length. Fonts have 16 rows,
    so a square of more has each of them twice or four times: once is enough, and `P = 16 size`. Where these are more
    than `D`, they are projected on their first `D` principal axes; where they are fewer, zeros follow them. Pictures
    are kept as bits and unpacked for the symbols of a batch, so no program holds a table of `V·D` numbers.

    The published table has all `size²` pixels, in the order of a spiral, turned by all of their principal axes. Rows
    twice, an order, a rotation or zeros change no angle, so nothing of that is done here without need. Its vectors
    have length 1; here an element has root mean square `scale`, as a learned table's have 1, and `scale = D ** -0.5` is
    theirs. The drawing has its own differences: see `lexitok.text.drawing`.

    With `distinct='published'`, symbols that look alike are one vector, and no model can tell them apart where they
    enter: `lexitok.interfaces.checks` lists them. With `told_apart` the last elements of each vector are a code of -1
    and 1, times `scale`: the bits of the symbol's number among those whose vectors are equal in bfloat16. There are as
    many as the largest group needs, and the pictures have the elements before them.

    Pictures are no part of a checkpoint (`lexitok.made`). They are drawn again from the vocabulary and the font, so a
    model needs the font that it was trained with, and its config holds the `font_fingerprint`; principal axes are
    computed to rounding, and not bit by bit, the same elsewhere.

    Args:
      c: made by `lexitok.config.glyphs`.
      V: symbols.
      D: width of the vectors that enter and leave.
      tokens: the bytes of each symbol, specials empty: they are drawn as their id, white on black.
      rngs: for the read-out.

    Raises:
      ValueError: unknown settings, `tokens` that are not of the `V` symbols, or a code that does not fit into `D`.
      FontError: the font cannot be found or read, or is not that of `c.font_fingerprint`.
    """

    needs = ("tokens",)

    def __init__(
        self, c: ConfigDict | FrozenConfigDict, V: int, D: int, tokens: Sequence[bytes] = (), *, rngs: nnx.Rngs
    ):
        super().__init__(V, D, softcap=c.softcap, rngs=rngs)
        if c.distinct not in DISTINCT:
            raise ValueError(f"unknown interface.distinct '{c.distinct}'; there are {', '.join(DISTINCT)}")
        if len(tokens) != V:
            raise ValueError(f"glyphs are drawn from the bytes of {V} symbols, and there are those of {len(tokens)}")
        _check_font(c)
        drawn = _draw(tuple(tokens), D, c.font, c.size, c.drawing, c.distinct)
        self.D, self.scale, self.bits = D, c.scale, drawn.bits
        self.made_pictures, self.made_mean = made(drawn.pictures), made(drawn.mean)
        self.made_axes = None if drawn.axes is None else made(drawn.axes)
        self.made_ranks = made(drawn.ranks)

    def vectors(self, symbols_BxS: Int[Array, "B S"], dtype: DTypeLike) -> Float[Array, "B S D"]:
        """The pictures of the symbols as vectors, in `dtype`."""
        packed = self.made_pictures[...][symbols_BxS]
        pixels = jnp.unpackbits(packed, axis=-1).astype(jnp.float32) - self.made_mean[...][None, None]
        if self.made_axes is not None:  # in full precision: accelerators would round both sides to fewer bits
            pixels = jnp.matmul(pixels, self.made_axes[...], precision=jax.lax.Precision.HIGHEST)
        room = self.D - self.bits
        length = jnp.linalg.norm(pixels, axis=-1, keepdims=True)
        picture = pixels * (room**0.5 / jnp.where(length > 0.0, length, 1.0))
        picture = jnp.pad(picture, ((0, 0), (0, 0), (0, room - picture.shape[-1])))
        code = _bits(self.made_ranks[...][symbols_BxS], self.bits)
        return (jnp.concatenate([picture, code], axis=-1) * self.scale).astype(dtype)


def pin_font(c: ConfigDict) -> None:
    """Writes the fingerprint of the font that `c` names into `c`, where there is none.

    Raises:
      FontError: the font cannot be found or read.
    """
    if not c.font_fingerprint:
        c.font_fingerprint = HexFont.read(c.font).fingerprint


def _check_font(c: ConfigDict | FrozenConfigDict) -> None:
    if not c.font_fingerprint:
        return
    font = HexFont.read(c.font)
    if font.fingerprint != c.font_fingerprint:
        raise FontError(
            f"{font.source} has the fingerprint {font.fingerprint[:12]}…, and this model reads pictures of the font "
            f"{c.font_fingerprint[:12]}…: set model.interface.font to that one's path"
        )


def _bits(ranks_BxS: Int[Array, "B S"], bits: int) -> Float[Array, "B S bits"]:
    """Numbers as bits, -1 or 1, the lowest first."""
    shifts = jnp.arange(bits, dtype=jnp.int32)[None, None]
    return (2 * (ranks_BxS[..., None] >> shifts & 1) - 1).astype(jnp.float32)


class _Drawn(NamedTuple):
    """What is drawn, and computed of that.

    Attributes:
      pictures: uint8 `[V, P / 8]`.
      mean: float32 `[P]`, of each pixel over the vocabulary.
      axes: float32 `[P, room]`; None where there is room for all pixels.
      ranks: int32 `[V]`, the number of a symbol among those like it.
      bits: of the largest of these numbers.
    """

    pictures: np.ndarray
    mean: np.ndarray
    axes: np.ndarray | None
    ranks: np.ndarray
    bits: int


@functools.lru_cache(maxsize=4)  # a model is made several times: for its shapes, and for its parameters
def _draw(tokens: tuple[bytes, ...], D: int, font: str, size: int, drawing: str, distinct: str) -> _Drawn:
    pictures = unpack(draw_tokens(tokens, HexFont.read(font), size=size, drawing=drawing))
    packed = np.packbits(pictures[:, :: size // HEIGHT].reshape(len(tokens), -1), axis=1)
    P = HEIGHT * size
    mean = sum((pixels.sum(axis=0, dtype=np.float64) for pixels in _blocks(packed)), np.zeros(P)) / len(tokens)
    mean = mean.astype(np.float32)
    if distinct == "published":
        axes = principal_axes(packed)[:, :D].astype(np.float32) if D < P else None
        ranks, bits = np.zeros(len(tokens), np.int32), 0
    else:
        ranks, bits, axes = _told_apart(packed, mean, D)
    return _Drawn(packed, mean, axes, ranks, bits)


def _told_apart(packed: np.ndarray, mean: np.ndarray, D: int) -> tuple[np.ndarray, int, np.ndarray | None]:
    """Numbers of the symbols among those like them, the bits of the largest, and the axes of what is left of `D`."""
    P = len(mean)
    all_axes = principal_axes(packed) if D - 31 < P else None  # no number has more bits
    bits = 0
    while bits < D:  # fewer elements for the pictures may make more of them alike
        axes = None if all_axes is None or D - bits >= P else all_axes[:, : D - bits].astype(np.float32)
        ranks = _ranks(packed, mean, axes, D - bits)
        needed = int(ranks.max()).bit_length()
        if needed <= bits:
            return ranks, bits, axes
        bits = needed
    raise ValueError(f"symbols that look alike need a code of {bits} bits, which {D} dimensions have no room for")


def principal_axes(packed: np.ndarray) -> np.ndarray:
    """The principal axes of pictures, as columns, that of the largest variance first; float64 `[P, P]`.

    The covariance is counted in whole numbers, so that every machine starts from the same matrix, and of an axis and
    its negative the one is taken whose product with an irregular vector is positive (the largest element would not
    do: symmetric shapes have two of them). Axes of equal variance stay undetermined; those of none meet no picture.

    Args:
      packed: uint8 `[V, P / 8]`.
    """
    both = np.zeros((8 * packed.shape[1],) * 2)
    for pixels in _blocks(packed):
        both += pixels.T @ pixels  # counts below 2**24, exact in float32
    counts = np.diag(both)
    covariance = (both * len(packed) - counts[:, None] * counts[None]) / len(packed) ** 2
    axes = np.linalg.eigh(covariance)[1][:, ::-1]
    irregular = np.modf(np.sqrt(np.arange(2, len(axes) + 2)))[0]
    return axes * np.where(irregular @ axes < 0, -1.0, 1.0)


def _ranks(packed: np.ndarray, mean: np.ndarray, axes: np.ndarray | None, room: int) -> np.ndarray:
    """The number of each picture among those before it whose vectors of length `sqrt(room)` are equal in bfloat16.

    Equal pictures have one vector: a product may round the same row differently at another place. The vectors are
    computed in float64, so that what is rounded to bfloat16 is the same on every machine.
    """
    pictures, which = np.unique(packed, axis=0, return_inverse=True)
    keys: list[bytes] = []
    for pixels in _blocks(pictures):
        vectors = pixels.astype(np.float64) - mean
        vectors = vectors if axes is None else vectors @ axes
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors * (room**0.5 / np.where(length > 0, length, 1)) + 0.0  # there are no negative zeros
        rounded = vectors.astype(np.float32).astype(ml_dtypes.bfloat16)
        keys += [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rounded]
    seen: Counter[bytes] = Counter()
    ranks: list[int] = []
    for picture in which.reshape(-1).tolist():
        ranks.append(seen[keys[picture]])
        seen[keys[picture]] += 1
    return np.array(ranks, np.int32)


def _blocks(packed: np.ndarray) -> Iterator[np.ndarray]:
    """Pictures unpacked, some at a time: float32 `[v, P]`."""
    for start in range(0, len(packed), _BLOCK):
        yield np.unpackbits(packed[start : start + _BLOCK], axis=1).astype(np.float32)
