"""Several interfaces over one backbone: each symbol enters by its own, and is predicted among the symbols of its own.

Hydra models (Trans-Tokenization, arXiv 2408.04303) have a table and a head for each language, and switch between them.
Here the ids of all parts stand one behind the other (`lexitok.text.joint_tokenizer`), so a batch may hold rows, and a
row documents, of different parts.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int
from ml_collections import ConfigDict

from lexitok.interfaces.bound import Bound, refuse_vocabulary
from lexitok.ops.read_out import Query, Reductions

MakePart = Callable[[ConfigDict, int, int, nnx.Rngs], Any]


class Hydra(nnx.Module):
    """`parts`, an interface for each.

    Args:
      c: the section; `c.parts` has for each part its `size`, in symbols, and its `interface`. Their ids are in the
        order of their names.
      V: symbols of all parts.
      make: makes the interface of a part from its section, its symbols, the width and `rngs`.

    Raises:
      ValueError: there is no part, or the sizes are not those of `V` symbols.
    """

    needs = ("make",)

    def __init__(self, c: ConfigDict, V: int, D: int, *, make: MakePart, rngs: nnx.Rngs):
        sizes = {name: c.parts[name].size for name in sorted(c.parts)}
        if not sizes or sum(sizes.values()) != V:
            said = " + ".join(f"{size} ({name})" for name, size in sizes.items()) or "none"
            raise ValueError(f"the parts of the interface have {said} symbols, and the text's vocabulary has {V}")
        self.names = tuple(sizes)
        self.parts = nnx.Dict({name: make(c.parts[name].interface, size, D, rngs) for name, size in sizes.items()})

    @property
    def vocabulary_size(self) -> int:
        """Symbols of all parts."""
        return sum(self.parts[name].vocabulary_size for name in self.names)

    def bind(self, seeds_B: Int[Array, "B"], vocabulary: Any = None) -> Bound:
        """All parts, bound."""
        refuse_vocabulary(vocabulary, self)
        parts, start = [], 0
        for name in self.names:
            part = self.parts[name]
            parts.append(BoundPart(part.bind(seeds_B), start, start + part.vocabulary_size))
            start += part.vocabulary_size
        return HydraBound(tuple(parts))


@dataclasses.dataclass(frozen=True)
class BoundPart:
    """A part, and the joint ids of its symbols.

    Attributes:
      bound: in ids from 0 on.
      start, stop: of its joint ids.
    """

    bound: Bound
    start: int
    stop: int

    def has(self, ids: Int[Array, "..."]) -> Bool[Array, "..."]:
        """Which ids are of this part."""
        return (ids >= self.start) & (ids < self.stop)

    def own(self, ids: Int[Array, "..."]) -> Int[Array, "..."]:
        """The ids in its own numbers; of others, that of its first symbol."""
        return jnp.where(self.has(ids), ids - self.start, 0)


@dataclasses.dataclass(frozen=True)
class HydraBound:
    """All parts, for the rows of a batch. What is predicted costs a read-out of each part at every position."""

    parts: tuple[BoundPart, ...]

    def embed(self, symbols_BxS: Int[Array, "B S"], dtype: DTypeLike) -> Float[Array, "B S D"]:
        """The vectors of the symbols, each of its own part; NaN of an id that no part has."""
        found = jnp.full((*symbols_BxS.shape, 1), jnp.nan, dtype)
        for part in self.parts:
            vectors = part.bound.embed(part.own(symbols_BxS), dtype)
            found = jnp.where(part.has(symbols_BxS)[..., None], vectors, found)
        return found

    def logits(self, h_BxSxD: Float[Array, "B S D"]) -> Float[Array, "B S V"]:
        """Float32 logits of all symbols; what is a distribution is the softmax of those of one part."""
        return jnp.concatenate([part.bound.logits(h_BxSxD) for part in self.parts], axis=-1)

    def read_out(self, h_BxSxD: Float[Array, "B S D"], query: Query) -> Reductions:
        """What is asked of the logits of the part that each target is of: those of the others are as if not there.

        Raises:
          ValueError: nothing says which part it is, as no targets are given.
        """
        targets = query.targets_BxS
        if targets is None:
            raise ValueError("a Hydra predicts among the symbols of the part that a target is of: the query has none")
        answers = [self._answer(part, h_BxSxD, query) for part in self.parts]
        found = answers[0]
        for part, answer in zip(self.parts[1:], answers[1:], strict=True):
            mine = part.has(targets)
            found = jax.tree.map(lambda x, y, mine=mine: jnp.where(_like(mine, x), y, x), found, answer)
        return found

    def _answer(self, part: BoundPart, h_BxSxD: Float[Array, "B S D"], query: Query) -> Reductions:
        columns, groups, none = query.columns_BxSxC, query.group_of_V, -jnp.inf
        asked = dataclasses.replace(
            query,
            targets_BxS=part.own(query.targets_BxS),
            columns_BxSxC=None if columns is None else part.own(columns),
            group_of_V=None if groups is None else groups[part.start : part.stop],
        )
        found = part.bound.read_out(h_BxSxD, asked)
        if columns is not None:
            found = dataclasses.replace(found, columns_BxSxC=jnp.where(part.has(columns), found.columns_BxSxC, none))
        if found.top_ids_BxSxk is not None:
            found = dataclasses.replace(found, top_ids_BxSxk=found.top_ids_BxSxk + part.start)
        return found


def _like(mask_BxS: Array, x: Array) -> Array:
    return mask_BxS.reshape(mask_BxS.shape + (1,) * (x.ndim - mask_BxS.ndim))
