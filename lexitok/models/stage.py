"""`Stage`: one level of a hierarchy. Positions are pooled into units for a backbone, whose output guides them again.

The backbone is a stack, or another stage. Everything that depends on how positions are grouped is in two index arrays
(`lexitok.data.layout`), which come with the batch or from the stage's own router.
"""

import math
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.config import width
from lexitok.data.batch import Units
from lexitok.models import unit_reductions
from lexitok.models.pools import POOLS
from lexitok.models.routers import ROUTERS, Boundaries, DistilledRouter
from lexitok.models.units import moved_since, units_from_ends
from lexitok.models.unpools import UNPOOLS, UnitView
from lexitok.nn.layers import spread
from lexitok.nn.parameters import normal
from lexitok.nn.stacks import make_stack
from lexitok.ops.attention import Positions

SCOPES = ("window", "unit")
POOL_POSITIONS = ("offset", "published")
FIRST = ("learned", "zeros")

Features = dict[str, Any]


class Stage(nnx.Module):
    """Encoder, router, pool, backbone, unpool, decoder; `c` is a `lexitok.config.stage` section, frozen."""

    def __init__(self, c: ConfigDict, *, dtype: DTypeLike, rngs: nnx.Rngs):
        _check(c)
        self.c = c
        self.dtype = dtype
        # Only a slot looks ahead in its unit; what pools complete units of a causal encoder stays causal within them.
        self.encoder = make_stack(c.encoder, scope="full" if c.pool == "slot" else "causal", rngs=rngs)
        self.router: Any = None if c.router.kind == "given" else _router(c, rngs)
        self.pool = POOLS[c.pool](c, rngs=rngs)
        self.backbone = make_backbone(c.backbone, dtype, rngs)
        D = c.slots * width(c.backbone)
        self.first = normal(rngs, "D", (D,), 1) if c.first == "learned" else None
        self.unpool = UNPOOLS[c.unpool](c, rngs=rngs)
        self.decoder = make_stack(c.decoder, rngs=rngs)

    def __call__(
        self,
        x_BxSxE: Float[Array, "B S E"],
        positions: Positions,
        units: Units | int,
        symbols_BxS: Int[Array, "B S"] | None = None,
    ) -> Features:
        """What the stage makes of packed rows, and what it computed on the way.

        Args:
          x_BxSxE: vectors of the positions.
          positions: of the positions.
          units: which positions make a unit or, where that is the router's to say, how many a row has room for.
          symbols_BxS: for a router that reads them.

        Returns:
          `encoded` and `hidden`, `[B, S, E]`; `vectors` and `guides` of units, `[B, W, slots * D]`; `units`;
          `boundaries` of the router; `inner`, the features of a backbone that is a stage; `loss` of the routers, to be
          added to the mean over targets; and `sums`.
        """
        encoded = self.encoder(x_BxSxE, self.local_positions(self.c.encoder, positions, units))
        boundaries, sums = None, {}
        if isinstance(units, int):
            boundaries, units, sums = self._route(encoded, symbols_BxS, positions, units)
        relative = relative_positions(self.c.pool_positions, positions.positions_BxS, units)
        W = units.segments_BxW.shape[1]
        vectors = self.pool(encoded, units.of_BxS, relative, W)
        raw, inner = run_backbone(
            self.backbone, vectors, Positions(units.segments_BxW, units.positions_BxW), self.c.slots
        )
        guides = self.unpool.smooth(raw, chances_of(boundaries, units), units.positions_BxW == 0, None)
        x, before = self.unpool(x_BxSxE, encoded, self.with_first(guides), self._view(units, positions, boundaries))
        hidden = self.decoder(x, self.local_positions(self.c.decoder, positions, units), before)
        sums["units"] = jnp.sum(units.segments_BxW > 0, dtype=jnp.float32)
        features = {"encoded": encoded, "vectors": vectors, "guides": guides, "hidden": hidden, "units": units}
        features |= {"boundaries": boundaries, "inner": inner}
        return features | self._totals(features, positions, sums)

    @property
    def finding_router(self) -> Any:
        """The router, where it is it that finds the units.

        Raises:
          ValueError: units come with the text.
        """
        if self.router is None or isinstance(self.router, DistilledRouter):
            raise ValueError("the batch says nothing of units, and the model has no router that finds them")
        return self.router

    def _route(
        self, encoded: Array, symbols_BxS: Any, positions: Positions, room: int
    ) -> tuple[Boundaries, Units, dict]:
        boundaries = self.finding_router(encoded, symbols_BxS, positions)
        units, dropped = units_from_ends(boundaries.ends_BxS, positions, room)
        return boundaries, units, {"units_dropped": dropped.astype(jnp.float32)}

    def _totals(self, features: Features, positions: Positions, sums: dict[str, Array]) -> Features:
        loss = jnp.zeros((), jnp.float32)
        if isinstance(self.router, DistilledRouter):
            loss, more = self.router.loss(features["encoded"], features["units"], positions)
            sums = sums | more
        elif self.router is not None:
            loss = self.router.loss(features["boundaries"], positions)
        if features["inner"] is not None:
            loss = loss + features["inner"]["loss"]
            sums = sums | {f"inner_{name}": value for name, value in features["inner"]["sums"].items()}
        return {"loss": loss, "sums": sums}

    def _view(self, units: Units, positions: Positions, boundaries: Boundaries | None) -> UnitView:
        W = units.segments_BxW.shape[1]
        offset = relative_positions("offset", positions.positions_BxS, units)
        return UnitView(
            guide_BxS=jnp.where(units.guide_BxS < 0, W, units.guide_BxS),
            slot_BxS=jnp.where(offset < self.c.slots, offset, -1),
            since_BxS=moved_since(units.guide_BxS, positions),
            confidence_BxS=None if boundaries is None else boundaries.confidence_BxS,
        )

    def local_positions(self, stack: ConfigDict, positions: Positions, units: Units | int) -> Positions:
        """Where positions stand for a local stack: in their piece, or each unit for itself."""
        if stack.scope == "window":
            return positions
        assert isinstance(units, Units)
        return Positions(units.of_BxS, positions.positions_BxS)

    def first_guide(self) -> Float[Array, "D"]:
        """What positions see that see no unit, float32."""
        D = self.c.slots * width(self.c.backbone)
        return jnp.zeros(D, jnp.float32) if self.first is None else self.first[...]

    def with_first(self, guides_BxWxD: Float[Array, "B W D"]) -> Float[Array, "B V D"]:
        """Guides, and behind them what positions see that see none."""
        return jnp.concatenate([guides_BxWxD, spread(self.first_guide(), guides_BxWxD[:, :1])], axis=1)


def make_backbone(c: ConfigDict, dtype: DTypeLike, rngs: nnx.Rngs) -> Any:
    """A stack, or a stage."""
    return Stage(c, dtype=dtype, rngs=rngs) if c.kind == "stage" else make_stack(c, rngs=rngs)


def run_backbone(
    backbone: Any, vectors_BxUxD: Float[Array, "B U D"], positions: Positions, slots: int
) -> tuple[Float[Array, "B W V"], Features | None]:
    """The backbone's output for each unit, its slots side by side; and its features, where it is a stage.

    Args:
      backbone: the backbone.
      vectors_BxUxD: of units, `slots` for each.
      positions: of the units.
      slots: of a unit; each is a position of the backbone.
    """
    B, W = positions.segments_BxS.shape
    at = slot_positions(positions, slots)
    if not isinstance(backbone, Stage):
        return backbone(vectors_BxUxD, at).reshape(B, W, -1), None
    inner = backbone(vectors_BxUxD, at, math.ceil(backbone.c.router.capacity * vectors_BxUxD.shape[1]))
    return inner["hidden"].reshape(B, W, -1), inner


def slot_positions(positions: Positions, slots: int) -> Positions:
    """The positions of the slots of units that stand at `positions`."""
    if slots == 1:
        return positions
    segments_BxU = jnp.repeat(positions.segments_BxS, slots, axis=1)
    number = jnp.tile(jnp.arange(slots, dtype=jnp.int32), positions.segments_BxS.shape[1])
    return Positions(segments_BxU, jnp.repeat(positions.positions_BxS, slots, axis=1) * slots + number[None])


def chances_of(boundaries: Boundaries | None, units: Units) -> Float[Array, "B W"] | None:
    """The router's probability at the position with which each unit ends; 0 for a unit that is still open."""
    if boundaries is None or boundaries.chance_BxS is None:
        return None
    ended = boundaries.ends_BxS & (units.guide_BxS == units.of_BxS)
    return unit_reductions.unit_sum(
        jnp.where(ended, boundaries.chance_BxS, 0.0), units.of_BxS, units.segments_BxW.shape[1]
    )


def relative_positions(kind: str, positions_BxS: Int[Array, "B S"], units: Units) -> Int[Array, "B S"]:
    """A byte's position for the pool: `offset` in its unit, or, as `published`, its position less that of its unit."""
    W = units.segments_BxW.shape[1]
    if kind == "published":
        start_BxW = units.positions_BxW
    else:
        start_BxW = jnp.take_along_axis(positions_BxS, unit_reductions.first_positions(units.of_BxS, W), axis=1)
    return positions_BxS - jnp.take_along_axis(start_BxW, jnp.minimum(units.of_BxS, W - 1), axis=1)


def _router(c: ConfigDict, rngs: nnx.Rngs) -> Any:
    kinds = ROUTERS | {"distilled": DistilledRouter}
    if c.router.kind not in kinds:
        raise ValueError(f"unknown router '{c.router.kind}'; there are given, {', '.join(kinds)}")
    return kinds[c.router.kind](c.router, width(c.encoder), rngs=rngs)


def _check(c: ConfigDict) -> None:
    for name, value, known in (
        ("pool", c.pool, POOLS),
        ("unpool", c.unpool, UNPOOLS),
        ("encoder.scope", c.encoder.scope, SCOPES),
        ("decoder.scope", c.decoder.scope, SCOPES),
        ("pool_positions", c.pool_positions, POOL_POSITIONS),
        ("first", c.first, FIRST),
    ):
        if value not in known:
            raise ValueError(f"unknown {name} '{value}'; there are {', '.join(known)}")
    if width(c.encoder) != width(c.decoder):
        raise ValueError(f"encoder and decoder need one width, got {width(c.encoder)} and {width(c.decoder)}")
    if c.backbone.kind == "stage" and c.backbone.router.kind not in ("cosine", "stride"):
        raise ValueError(
            f"a backbone that is a stage needs a router that finds units of units, cosine or stride, not "
            f"'{c.backbone.router.kind}'"
        )
    if c.pool == "slot" and c.encoder.scope != "unit":
        raise ValueError("pool 'slot' needs encoder.scope 'unit': its bidirectional encoder must not leave the unit")
    if c.slots < 1 or (c.slots > 1 and (c.pool, c.unpool) != ("slot", "prefix")):
        raise ValueError(f"slots is {c.slots}: it is at least 1, and only pool 'slot' with unpool 'prefix' takes more")
