"""`ByteUnitLM`, symbol after symbol: its byte interface around a stage."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lexitok.data.encoders import Encoder
from lexitok.inference import stage_decoder
from lexitok.inference.calls import CompletedUnits, ReadCall
from lexitok.inference.stage_decoder import StageState
from lexitok.interfaces import Bound
from lexitok.models.byte_unit_lm import ByteUnitLM
from lexitok.models.causality import check_causal
from lexitok.models.preceding_symbols import PrecedingSymbols


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class UnitState:
    """What is kept of the symbols read.

    Attributes:
      recent_BxR: the last symbols of each row, as many as embeddings look back.
      stage: the rest.
    """

    recent_BxR: Int[Array, "B R"]
    stage: StageState


def check(model: ByteUnitLM, encoder: Encoder) -> None:
    """Raises ValueError where the stage does not go with the encoder's boundary rule."""
    check_causal(model.c.stage, encoder.rule)


def longest_unit(model: ByteUnitLM, encoder: Encoder) -> int:
    """Positions of the longest unit, the slots that open it included."""
    given = None
    if not routes(model):
        given = encoder.rule.slots + encoder.rule.longest
    return stage_decoder.longest_unit(model.c.stage, given)


def routes(model: ByteUnitLM) -> bool:
    """Whether the model finds its units itself."""
    return stage_decoder.routes(model.stage)


def empty(model: ByteUnitLM, rows: int, symbols: int, longest: int, chunk: int) -> UnitState:
    """The state of rows that have read nothing.

    Args:
      rows: `B`.
      symbols: what a row has room for.
      longest: positions of the longest unit.
      chunk: symbols that are read at once, at most. Units that come by rule are closed a quarter as many at once.
    """
    closes = chunk if routes(model) else max(1, chunk // 4)
    recent = jnp.full((rows, model.reach), -1, jnp.int32)
    return UnitState(recent, stage_decoder.empty(model.stage, rows, symbols, chunk, closes, longest))


def extend(
    model: ByteUnitLM, state: UnitState, reads: ReadCall, closes: CompletedUnits | None, longest: int, bound: Bound
) -> tuple[UnitState, Float[Array, "B T E"]]:
    """Reads symbols and closes units, see `stage_decoder.extend`; what is returned goes to the read-out."""
    preceding = PrecedingSymbols.of_stream(state.recent_BxR, reads.symbols_BxT, reads.positions_BxT)
    x = model.with_slots(model.embed(preceding, bound), reads.slots_BxT)
    stage, hidden = stage_decoder.extend(model.stage, state.stage, x, reads, closes, longest)
    return UnitState(preceding.keep(model.reach), stage), hidden
