"""`Stage`, position after position: local stacks run for each, the backbone once for each unit that is complete.

The order within a call: the encoder reads the new positions; the units that are complete are pooled and go through the
backbone; the decoder reads the new positions, each with the newest guide that it sees.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.config import width
from lexitok.models.calls import IDLE, CompletedUnits, ReadCall, completed_at, read_positions
from lexitok.models.routers import Boundaries
from lexitok.models.stage import Stage, slot_positions
from lexitok.models.unpools import UnitView
from lexitok.ops.attention import Positions


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class StageState:
    """What is kept of the positions read.

    Attributes:
      encoder, decoder: caches. The encoder has none where it looks ahead in its unit: it is run on whole units when
        they are complete.
      backbone: its cache, or its state, where it is a stage.
      router: its state, where there is one.
      unit_inputs_BxSxE: by position, what units are made of: the encoder's output, or where it has no cache, its input.
      guide_Bx1xD: what the newest unit gives to see; at first, what positions see that see none.
      closed_B: units so far.
      open_B: position with which the next unit starts.
      moved_B: position at which the guide became another.
    """

    encoder: Any
    decoder: Any
    backbone: Any
    router: Any
    unit_inputs_BxSxE: Float[Array, "B S E"]
    guide_Bx1xD: Float[Array, "B 1 D"]
    closed_B: Int[Array, "B"]
    open_B: Int[Array, "B"]
    moved_B: Int[Array, "B"]


def empty(stage: Stage, rows: int, positions: int, new: int, closes: int, longest: int) -> StageState:
    """The state of rows that have read nothing.

    Args:
      stage: the stage.
      rows: `B`.
      positions: what a row has room for; as many units, or where a unit has several slots, as fit.
      new, closes: positions that are read and units that are closed at once, at most.
      longest: positions of the longest unit.
    """
    c, dtype = stage.c, stage.dtype
    reach = {stack: longest if c[stack].scope == "unit" else None for stack in ("encoder", "decoder")}
    return StageState(
        encoder=None if c.pool == "slot" else stage.encoder.empty(rows, positions, new, reach["encoder"], dtype),
        decoder=stage.decoder.empty(rows, positions, new, reach["decoder"], dtype),
        # A unit of several slots has as many positions at least: its vectors are no more than positions, either.
        backbone=_empty_backbone(stage, rows, -(-positions // c.slots) * c.slots, closes * c.slots),
        router=stage.finding_router.empty(rows, positions, new, dtype) if finds_units(stage) else None,
        unit_inputs_BxSxE=jnp.zeros((rows, positions, width(c.encoder)), dtype),
        guide_Bx1xD=jnp.tile(stage.first_guide().astype(dtype)[None, None], (rows, 1, 1)),
        closed_B=jnp.zeros(rows, jnp.int32),  # arrays of their own, as all are donated
        open_B=jnp.zeros(rows, jnp.int32),
        moved_B=jnp.zeros(rows, jnp.int32),
    )


def _empty_backbone(stage: Stage, rows: int, positions: int, new: int) -> Any:
    backbone = stage.backbone
    if isinstance(backbone, Stage):
        return empty(backbone, rows, positions, new, new, longest_unit(backbone.c, None))
    return backbone.empty(rows, positions, new, None, stage.dtype)


def finds_units(stage: Stage) -> bool:
    """Whether the stage finds its units itself."""
    return stage.c.router.kind not in ("given", "distilled")


def longest_unit(c: ConfigDict, given: int | None) -> int:
    """Positions of a stage's longest unit, as far as its pool or its stacks have to know.

    Args:
      c: the stage's section.
      given: of the units that come with the text.

    Raises:
      ValueError: units have no bound, and the pool has to read all of one.
    """
    if given is not None:
        return given
    if "longest" in c.router or "stride" in c.router:
        return c.router.longest if "longest" in c.router else c.router.stride
    if c.pool != "last":
        raise ValueError(
            f"router '{c.router.kind}' makes units of any length: decoding needs pool 'last', not '{c.pool}'"
        )
    return 1


def extend(
    stage: Stage,
    state: StageState,
    x_BxTxE: Float[Array, "B T E"],
    reads: ReadCall,
    closes: CompletedUnits | None,
    longest: int,
) -> tuple[StageState, Float[Array, "B T E"]]:
    """Reads positions and closes units.

    Args:
      stage, state: the stage, and what it has read.
      x_BxTxE: vectors of the new positions.
      reads: the new positions.
      closes: units that are complete now; None: the stage's router says so.
      longest: positions of the longest unit.

    Returns:
      The new state, and the decoder's output at each position.
    """
    encoded, encoder = x_BxTxE, state.encoder
    if encoder is not None:
        encoded, encoder = stage.encoder.extend(x_BxTxE, _local(stage.c.encoder, reads), encoder)
    unit_inputs = _keep(state.unit_inputs_BxSxE, reads.positions_BxT, encoded)
    router, boundaries = state.router, None
    if closes is None:
        at = read_positions(reads.positions_BxT)
        router, boundaries = stage.finding_router.extend(router, encoded, jnp.maximum(reads.symbols_BxT, 0), at)
        closes, seen = completed_at(
            boundaries.ends_BxS, boundaries.chance_BxS, reads.positions_BxT, state.closed_B, state.open_B
        )
        reads = dataclasses.replace(reads, seen_BxT=seen)
    new, backbone = _close_units(stage, state, unit_inputs, closes, longest)
    guides = jnp.concatenate([state.guide_Bx1xD, new], axis=1)
    view, moved_B = _view(state, reads, boundaries)
    x, before = stage.unpool(x_BxTxE, encoded, guides, view)
    hidden, decoder = stage.decoder.extend(x, _local(stage.c.decoder, reads), state.decoder, before)
    count_B = (closes.index_BxC >= 0).sum(axis=1, dtype=jnp.int32)
    guide_Bx1xD = jnp.take_along_axis(guides, count_B[:, None, None], axis=1)
    ended_B = jnp.max(jnp.where(closes.index_BxC >= 0, closes.end_BxC, 0), axis=1, initial=0)
    open_B = jnp.maximum(state.open_B, ended_B)
    closed_B = state.closed_B + count_B
    return StageState(encoder, decoder, backbone, router, unit_inputs, guide_Bx1xD, closed_B, open_B, moved_B), hidden


def _local(stack: ConfigDict, reads: ReadCall) -> Positions:
    return read_positions(reads.positions_BxT, reads.units_BxT if stack.scope == "unit" else None)


def _keep(unit_inputs_BxSxE: Array, positions_BxT: Array, new_BxTxE: Array) -> Array:
    B, S, _ = unit_inputs_BxSxE.shape
    slots = jnp.where(positions_BxT < 0, S, positions_BxT)
    return unit_inputs_BxSxE.at[jnp.arange(B, dtype=jnp.int32)[:, None], slots].set(new_BxTxE, mode="drop")


def _view(state: StageState, reads: ReadCall, boundaries: Boundaries | None) -> tuple[UnitView, Array]:
    moves = (jnp.diff(reads.seen_BxT, axis=1, prepend=0) > 0) & (reads.positions_BxT >= 0)
    moved_BxT = jax.lax.cummax(jnp.where(moves, reads.positions_BxT, -1), axis=1)
    moved_BxT = jnp.maximum(moved_BxT, state.moved_B[:, None])
    view = UnitView(
        guide_BxS=reads.seen_BxT,
        slot_BxS=reads.slots_BxT,
        since_BxS=reads.positions_BxT - moved_BxT,
        confidence_BxS=None if boundaries is None else boundaries.confidence_BxS,
    )
    return view, moved_BxT[:, -1]


def _close_units(
    stage: Stage, state: StageState, unit_inputs_BxSxE: Array, closes: CompletedUnits, longest: int
) -> tuple[Float[Array, "B C D"], Any]:
    """What the closed units give to see, and the backbone's new cache; nothing is computed where none is closed."""
    B, C = closes.index_BxC.shape
    if C == 0:
        return jnp.zeros((B, 0, state.guide_Bx1xD.shape[-1]), stage.dtype), state.backbone

    def close(backbone: Any) -> tuple[Array, Any]:
        vectors = _pool(stage, unit_inputs_BxSxE, closes, longest)
        raw, backbone = _run_backbone(stage, backbone, vectors, closes.index_BxC)
        opens_BxC = closes.index_BxC == 0
        return stage.unpool.smooth(raw, closes.chance_BxC, opens_BxC, state.guide_Bx1xD), backbone

    def skip(backbone: Any) -> tuple[Array, Any]:
        return jnp.zeros((B, C, state.guide_Bx1xD.shape[-1]), stage.dtype), backbone

    return jax.lax.cond(jnp.any(closes.index_BxC >= 0), close, skip, state.backbone)


def _run_backbone(stage: Stage, state: Any, vectors_BxUxD: Array, index_BxC: Array) -> tuple[Array, Any]:
    B, C = index_BxC.shape
    at, backbone = slot_positions(read_positions(index_BxC), stage.c.slots), stage.backbone
    if isinstance(backbone, Stage):
        none = jnp.full_like(index_BxC, IDLE)
        reads = ReadCall(none, index_BxC, none, none, jnp.zeros_like(index_BxC))
        state, out = extend(backbone, state, vectors_BxUxD, reads, None, longest_unit(backbone.c, None))
    else:
        out, state = backbone.extend(vectors_BxUxD, at, state)
    return out.reshape(B, C, -1), state


def _pool(stage: Stage, unit_inputs_BxSxE: Array, closes: CompletedUnits, longest: int) -> Float[Array, "B U D"]:
    """The vectors of units: each is cut out and pooled as a row of its own."""
    B, C = closes.index_BxC.shape
    last_only = stage.pool.pooled == "last"
    index, start, end = (x[..., None] for x in (closes.index_BxC, closes.start_BxC, closes.end_BxC))
    if last_only:
        start, longest = end - 1, 1
    at_BxCxM = start + jnp.arange(longest, dtype=jnp.int32)[None, None]
    inside = at_BxCxM < end
    origin = index if stage.c.pool_positions == "published" else start

    def rows(x: Array) -> Array:
        return x.reshape(B * C, longest, *x.shape[3:])

    picked = jnp.take_along_axis(unit_inputs_BxSxE, at_BxCxM.reshape(B, C * longest, 1), axis=1, mode="clip")
    h = rows(picked.reshape(B, C, longest, -1))
    of = rows(jnp.where(inside, 0, 1))  # of the row's one unit, or of none
    if stage.c.pool == "slot":
        at = rows(jnp.where(inside, at_BxCxM, IDLE))
        h = stage.encoder(h, read_positions(at))
    return stage.pool(h, of, rows(at_BxCxM - origin), 1).reshape(B, C * stage.c.slots, -1)
