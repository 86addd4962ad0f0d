"""Stacks by name: a transformer, or a chain of several."""

from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.nn.cache import Cache
from lexitok.nn.transformer import Before, Transformer
from lexitok.ops.attention import Positions


class Chain(nnx.Module):
    """Stacks of one width, one after the other, as a single one: for layers that are not alike."""

    def __init__(self, c: ConfigDict, *, scope: str = "causal", rngs: nnx.Rngs):
        self.c = c
        self.stacks = nnx.List([Transformer(part, scope=scope, rngs=rngs) for part in c.parts.values()])

    def __call__(
        self, x_BxSxD: Float[Array, "B S D"], positions: Positions, before: Before = None
    ) -> Float[Array, "B S D"]:
        """As `Transformer`; there is nothing `before` the layers."""
        self._check(before)
        for part in self.stacks:
            x_BxSxD = part(x_BxSxD, positions)
        return x_BxSxD

    def empty(self, rows: int, positions: int, new: int, reach: int | None, dtype: DTypeLike) -> tuple[Cache, ...]:
        """As `Transformer`."""
        return tuple(part.empty(rows, positions, new, reach, dtype) for part in self.stacks)

    def extend(
        self, x_BxTxD: Float[Array, "B T D"], positions: Positions, cache: tuple[Cache, ...], before: Before = None
    ) -> tuple[Float[Array, "B T D"], tuple[Cache, ...]]:
        """As `Transformer`."""
        self._check(before)
        caches = []
        for part, cached in zip(self.stacks, cache, strict=True):
            x_BxTxD, cached = part.extend(x_BxTxD, positions, cached)
            caches.append(cached)
        return x_BxTxD, tuple(caches)

    def _check(self, before: Before) -> None:
        if before is not None:
            raise ValueError("a chain of stacks takes nothing before its layers: use a plain stack with this unpool")


STACKS = {"transformer": Transformer, "chain": Chain}


def make_stack(c: ConfigDict, *, scope: str = "causal", rngs: nnx.Rngs) -> Transformer | Chain:
    """The stack that a section of `lexitok.config` describes."""
    if c.kind not in STACKS:
        raise ValueError(f"unknown kind of stack '{c.kind}'; there are {', '.join(STACKS)}")
    return STACKS[c.kind](c, scope=scope, rngs=rngs)
