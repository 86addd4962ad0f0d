"""`ByteUnitLM`: bytes are pooled into units for the backbone, whose output guides the prediction of the next bytes.

HAT, Learn Your Tokens, SpaceByte, BLT, AU-Net, H-Net and Bolmo are settings of it (`configs/`).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.data.batch import Batch, Units
from lexitok.data.encoders import Encoder
from lexitok.interfaces import Bound, make_interface
from lexitok.interfaces.bound import loss_of
from lexitok.models import stage_decoding
from lexitok.models.calls import CompletedUnits, ReadCall
from lexitok.models.causality import check_causal, check_stage
from lexitok.models.embeddings import make_additions
from lexitok.models.extras import Extras
from lexitok.models.preceding_symbols import PrecedingSymbols
from lexitok.models.read_batch import ReadBatch
from lexitok.models.stage import Stage, relative_positions
from lexitok.models.stage_decoding import StageState
from lexitok.nn.parameters import normal
from lexitok.ops.attention import Positions
from lexitok.ops.read_out import Query, Reductions
from lexitok.text.vocabulary import Vocabulary


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class UnitState:
    """What is kept of the symbols that were read.

    Attributes:
      recent_BxR: the last symbols of each row, as many as embeddings look back.
      stage: the rest.
    """

    recent_BxR: Int[Array, "B R"]
    stage: StageState


class ByteUnitLM(nnx.Module):
    """A byte interface around a stage; `c` is a `lexitok.config.byte_unit_lm` section, frozen.

    `vocabulary` is of the symbols, for interfaces that look at it; `unit_tokens` are the bytes of the tokens that are
    the units, for embeddings that know them.
    """

    kinds_of_text = ("byte_units",)
    needs = ("vocabulary", "unit_tokens")

    @staticmethod
    def check(config: ConfigDict) -> None:
        """Raises ValueError where a whole tree of settings has parts that do not go together."""
        check_stage(config)

    def __init__(
        self,
        c: ConfigDict,
        V: int,
        *,
        vocabulary: Vocabulary | None = None,
        unit_tokens: Sequence[bytes] = (),
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.c = c
        self.dtype = dtype
        E = c.stage.encoder.D
        self.interface = make_interface(c.interface, V, E, rngs, vocabulary)
        self.additions = make_additions(c.embedding, E, rngs, unit_tokens, c.interface.get("table_rows", 0))
        self.slots = normal(rngs, "P E", (c.stage.slots, E), 1) if c.stage.slots > 1 else None
        self.stage = Stage(c.stage, dtype=dtype, rngs=rngs)

    @property
    def reach(self) -> int:
        """How many symbols before its own the vector of a symbol depends on."""
        return 0 if self.additions is None else self.additions.reach

    def features(self, batch: Batch) -> dict[str, Any]:
        """What is computed on the way: `embedded`, `[B, S, E]`, and all that `Stage` says."""
        return self._features(self.interface.bind(batch.seeds_B, batch.vocabulary), batch)

    def _features(self, bound: Bound, batch: Batch) -> dict[str, Any]:
        tokens, units = batch.tokens, self._units(batch)
        embedded = self.embed(PrecedingSymbols.of_batch(tokens.symbols_BxS, tokens.positions_BxS), bound)
        if isinstance(units, Units):
            embedded = self.with_slots(embedded, relative_positions("offset", tokens.positions_BxS, units))
        positions = Positions(tokens.segments_BxS, tokens.positions_BxS)
        return {"embedded": embedded} | self.stage(embedded, positions, units, tokens.symbols_BxS)

    def embed(self, preceding: PrecedingSymbols, bound: Bound) -> Float[Array, "B S E"]:
        """Vectors of the symbols, with what they get from the symbols before them."""
        embedded = bound.embed(jnp.maximum(preceding.back(0), 0), self.dtype)
        return embedded if self.additions is None else embedded + self.additions(preceding, self.dtype)

    def with_slots(self, embedded_BxSxE: Float[Array, "B S E"], slot_BxS: Int[Array, "B S"]) -> Float[Array, "B S E"]:
        """Vectors of their own for the slots that open a unit, where there are several."""
        if self.slots is None:
            return embedded_BxSxE
        p = self.slots.shape[0]
        own = self.slots[...][jnp.clip(slot_BxS, 0, p - 1)].astype(self.dtype)  # cast last: summed up in float32
        return jnp.where(((slot_BxS >= 0) & (slot_BxS < p))[..., None], own, embedded_BxSxE)

    def logits(self, batch: Batch) -> Float[Array, "B S V"]:
        """Float32 logits of the symbol after each position."""
        bound = self.interface.bind(batch.seeds_B, batch.vocabulary)
        return bound.logits(self._features(bound, batch)["hidden"])

    def read(self, batch: Batch) -> ReadBatch:
        """One forward pass; the losses of routers and of the interface, and counts of units."""
        bound = self.interface.bind(batch.seeds_B, batch.vocabulary)
        features = self._features(bound, batch)
        return ReadBatch(batch, bound, features["hidden"], Extras(features["loss"] + loss_of(bound), features["sums"]))

    def read_out(self, batch: Batch, query: Query | None = None) -> tuple[Reductions, Extras]:
        """What is asked of the logits, by default the nats of the batch's targets; and `read`'s losses and counts."""
        read = self.read(batch)
        return read.read_out(query), read.extras

    @property
    def finds_units(self) -> bool:
        """Whether the model says itself where units end."""
        return stage_decoding.finds_units(self.stage)

    def check_decoding(self, encoder: Encoder) -> None:
        """Raises ValueError where the stage does not go with the encoder's boundary rule."""
        check_causal(self.c.stage, encoder.rule)

    def longest_unit(self, encoder: Encoder) -> int:
        """Positions of the longest unit, the slots that open it included."""
        given = None if self.finds_units else encoder.rule.slots + encoder.rule.longest
        return stage_decoding.longest_unit(self.c.stage, given)

    def empty(self, rows: int, symbols: int, longest: int, chunk: int) -> UnitState:
        """The state of rows that have read nothing, with room for `symbols` each, read in chunks.

        Units that come by rule are closed a quarter as many at once as symbols are read.
        """
        closes = chunk if self.finds_units else max(1, chunk // 4)
        recent = jnp.full((rows, self.reach), -1, jnp.int32)
        return UnitState(recent, stage_decoding.empty(self.stage, rows, symbols, chunk, closes, longest))

    def extend(
        self, state: UnitState, reads: ReadCall, closes: CompletedUnits | None, longest: int, bound: Bound
    ) -> tuple[UnitState, Float[Array, "B T E"]]:
        """Reads symbols and closes units, see `stage_decoding.extend`; what is returned goes to the read-out."""
        preceding = PrecedingSymbols.of_stream(state.recent_BxR, reads.symbols_BxT, reads.positions_BxT)
        x = self.with_slots(self.embed(preceding, bound), reads.slots_BxT)
        stage, hidden = stage_decoding.extend(self.stage, state.stage, x, reads, closes, longest)
        return UnitState(preceding.keep(self.reach), stage), hidden

    def _units(self, batch: Batch) -> Units | int:
        if batch.tokens.units is None:
            raise ValueError("a byte-unit model needs a batch with units: set text.kind to 'byte_units'")
        own = self.stage.router is not None and self.c.stage.router.kind != "distilled"
        return batch.tokens.units.segments_BxW.shape[1] if own else batch.tokens.units
