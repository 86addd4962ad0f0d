"""Checks that any fixed interface must pass: are its vectors distinct, of one size, of full rank, far from each other?

A fixed vector is never trained, so two symbols that share one are the same symbol to a model's input for good, and a
vector of zeros is none at all. `check_vectors` finds both, and what comes close to it.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lexitok.interfaces import Interface

RANK_TOLERANCE = 1e-6  # of the largest singular value: above what float32 vectors leave of none
_BLOCK = 2048  # symbols compared with as many others at once


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two symbols, the smaller id first, and how close their vectors are."""

    ids: tuple[int, int]
    value: float


@dataclasses.dataclass(frozen=True)
class InterfaceReport:
    """What `check_vectors` found.

    Attributes:
      V, D: symbols and elements.
      distinct: different vectors.
      groups: ids that share a vector, every group of two or more, the largest first.
      norms: the smallest, the median and the largest length.
      zeros: ids whose vector is zero.
      rank: singular values of the vectors above `RANK_TOLERANCE` of the largest.
      by_cosine: the pairs of different vectors with the smallest angle, closest first; not of zero vectors. Of a group
        only the first id is compared.
      by_distance: those with the smallest distance between them.
      names: what the ids are called.
    """

    V: int
    D: int
    distinct: int
    groups: tuple[tuple[int, ...], ...]
    norms: tuple[float, float, float]
    zeros: tuple[int, ...]
    rank: int
    by_cosine: tuple[Pair, ...]
    by_distance: tuple[Pair, ...]
    names: tuple[str, ...] | None = None

    @property
    def injective(self) -> bool:
        return self.distinct == self.V

    def text(self, groups: int | None = 10) -> str:
        """The report in words, with so many groups; None: all."""
        colliding = sum(map(len, self.groups))
        shown = self.groups[:groups]
        lines = [
            f"{self.V} symbols, {self.D} elements, rank {self.rank}",
            f"{self.distinct} distinct vectors; {colliding} symbols share theirs, in {len(self.groups)} groups",
            "norms: {:.4g} smallest, {:.4g} median, {:.4g} largest".format(*self.norms),
            f"zero vectors: {len(self.zeros)}{self._listed(self.zeros)}",
            *(f"  {len(group)} the same{self._listed(group, None if groups is None else 12)}" for group in shown),
        ]
        if len(shown) < len(self.groups):
            lines.append(f"  and {len(self.groups) - len(shown)} groups more")
        for title, pairs in (("cosine", self.by_cosine), ("distance", self.by_distance)):
            lines += [f"nearest by {title}:"] if pairs else []
            lines += [f"  {pair.value:.6f}{self._listed(pair.ids)}" for pair in pairs]
        return "\n".join(lines) + "\n"

    def _listed(self, ids: Sequence[int], most: int | None = 12) -> str:
        if not ids:
            return ""
        names = [str(i) if self.names is None else f"{i} {self.names[i]}" for i in ids[:most]]
        return ": " + ", ".join(names) + (", …" if len(names) < len(ids) else "")


def check_vectors(
    vectors_VxD: Float[np.ndarray, "V D"], names: Sequence[str] | None = None, pairs: int = 10
) -> InterfaceReport:
    """Whether vectors tell symbols apart, and how well.

    Compares every pair, `V² D` products, in blocks; no array of `V²` numbers is made.

    Args:
      vectors_VxD: the vector of each id.
      names: what the report calls them.
      pairs: how many of the nearest pairs are looked for; 0: none, which spares the comparison.

    Raises:
      ValueError: there are no vectors, some are not finite, or names for another number of them.
    """
    V, D = vectors_VxD.shape
    if not V or not np.isfinite(vectors_VxD).all():
        raise ValueError(f"{V} vectors of {D} elements: there has to be one or more, and all have to be finite")
    if names is not None and len(names) != V:
        raise ValueError(f"there are {len(names)} names for {V} vectors")
    x = np.ascontiguousarray(vectors_VxD) + 0.0  # a negative zero equals zero
    groups = _groups(x)
    norms = np.concatenate([np.linalg.norm(block, axis=1) for block in _rows(x)])
    firsts = np.array([group[0] for group in groups])
    by_cosine, by_distance = _nearest(x, norms, firsts, pairs) if pairs else ((), ())
    return InterfaceReport(
        V=V,
        D=D,
        distinct=len(groups),
        groups=tuple(sorted((tuple(g) for g in groups if len(g) > 1), key=lambda g: (-len(g), g))),
        norms=(float(norms.min()), float(np.median(norms)), float(norms.max())),
        zeros=tuple(np.flatnonzero(norms == 0).tolist()),
        rank=_rank(x),
        by_cosine=by_cosine,
        by_distance=by_distance,
        names=None if names is None else tuple(names),
    )


def input_vectors(interface: Interface, seeds: int = 0) -> Float[np.ndarray, "V D"]:
    """The float32 vector of every symbol, as it enters in a row with this seed.

    Args:
      interface: any; of one whose vectors depend on what else is in the row, they are those of ids in order.
      seeds: of the row.
    """
    V = interface.vocabulary_size
    size = min(V, 4096)
    ids = np.minimum(np.arange(-(-V // size) * size), V - 1).astype(np.int32).reshape(-1, 1, size)
    seeds_B = jnp.full(1, seeds, jnp.int32)
    return np.concatenate([np.asarray(_embed(interface, jnp.asarray(some), seeds_B)[0]) for some in ids])[:V]


def token_names(tokens: Sequence[bytes]) -> list[str]:
    """What tokens are called in a report: their text in quotes, or their bytes where they are no text."""
    return [_name(token) if token else "special" for token in tokens]


def _name(token: bytes) -> str:
    try:
        return repr(token.decode())
    except UnicodeDecodeError:
        return repr(token)


@jax.jit
def _embed(interface: Interface, symbols_BxS: Int[Array, "B S"], seeds_B: Int[Array, "B"]) -> Float[Array, "B S D"]:
    return interface.bind(seeds_B).embed(symbols_BxS, jnp.float32)


def _groups(x: np.ndarray) -> list[list[int]]:
    """Ids by vector, in the order of the first."""
    by_vector: dict[bytes, list[int]] = {}
    for i, row in enumerate(x):
        by_vector.setdefault(row.tobytes(), []).append(i)
    return list(by_vector.values())


def _rank(x: np.ndarray) -> int:
    """Singular values that count, by way of the `D x D` products of the elements, in float64."""
    squares = sum((block.T @ block for block in _rows(x)), np.zeros((x.shape[1],) * 2))
    values = np.linalg.eigvalsh(squares)
    return int((values > values[-1] * RANK_TOLERANCE**2).sum()) if values[-1] > 0 else 0


def _rows(x: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of vectors, in float64."""
    return (x[at : at + _BLOCK].astype(np.float64) for at in range(0, len(x), _BLOCK))


def _nearest(
    x: np.ndarray, norms: np.ndarray, ids: np.ndarray, pairs: int
) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """The nearest of the `ids` by cosine and by distance, found in float32 and measured in float64."""
    some = ids[norms[ids] > 0]
    unit = (x[some] / norms[some][:, None]).astype(np.float32)
    scaled = (x[ids] / max(norms.max(), 1e-30)).astype(np.float32)
    squares, ones = np.square(scaled).sum(axis=1, keepdims=True), np.ones((len(ids), 1), np.float32)
    # The last two elements make a product |a|² + |b|² - 2 a·b.
    by_cosine = some[_smallest_products(-unit, unit, 8 * pairs)]
    left, right = np.hstack([-2 * scaled, squares, ones]), np.hstack([scaled, ones, squares])
    by_distance = ids[_smallest_products(left, right, 8 * pairs)]
    return (
        _measured(x, by_cosine, lambda a, b: -float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)), -1, pairs),
        _measured(x, by_distance, lambda a, b: float(np.linalg.norm(a - b)), 1, pairs),
    )


def _measured(x: np.ndarray, found: np.ndarray, measure: Callable, sign: int, most: int) -> tuple[Pair, ...]:
    values = [(measure(x[i].astype(np.float64), x[j].astype(np.float64)), int(i), int(j)) for i, j in found]
    return tuple(Pair((i, j), sign * value) for value, i, j in sorted(values)[:most])


def _smallest_products(left: np.ndarray, right: np.ndarray, most: int) -> np.ndarray:
    """The places above the diagonal where `left @ right.T` is smallest: `[most, 2]`, or as many as there are."""
    values, places = np.zeros(0, np.float32), np.zeros((0, 2), np.int64)
    for i in range(0, len(left), _BLOCK):
        for j in range(i, len(right), _BLOCK):
            block = left[i : i + _BLOCK] @ right[j : j + _BLOCK].T
            if i == j:
                block[np.tril_indices(len(block))] = np.inf
            # Several times faster on one axis than on two.
            flat = np.flatnonzero(block.ravel() < (values[-1] if len(values) == most else np.inf))
            some, (rows, columns) = block.ravel()[flat], np.divmod(flat, block.shape[1])
            kept = np.argpartition(some, most)[:most] if len(some) > most else slice(None)
            values = np.concatenate([values, some[kept]])
            places = np.concatenate([places, np.stack([rows[kept] + i, columns[kept] + j], axis=1)])
            order = np.argsort(values, kind="stable")[:most]
            values, places = values[order], places[order]
    return places
