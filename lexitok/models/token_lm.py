"""`TokenLM`: every symbol, be it a token or a byte, is a position of the backbone."""

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.data.batch import Batch
from lexitok.data.encoders import Encoder
from lexitok.interfaces import Bound, make_interface
from lexitok.interfaces.bound import loss_of
from lexitok.interfaces.hydra import Hydra
from lexitok.models.calls import CompletedUnits, ReadCall, read_positions
from lexitok.models.extras import Extras
from lexitok.models.read_batch import ReadBatch
from lexitok.nn.cache import Cache
from lexitok.nn.transformer import Transformer
from lexitok.ops.attention import Positions
from lexitok.ops.read_out import Query, Reductions
from lexitok.text.vocabulary import Vocabulary


class TokenLM(nnx.Module):
    """An interface around a causal backbone; `c` is a `lexitok.config.token_lm` section, frozen.

    `vocabulary` is of the symbols, for interfaces that look at it.
    """

    kinds_of_text = ("subword", "bytes")
    needs = ("vocabulary",)

    @staticmethod
    def check(config: ConfigDict) -> None:
        """There is nothing to check in a whole tree of settings but the kind of text."""

    def __init__(
        self, c: ConfigDict, V: int, *, vocabulary: Vocabulary | None = None, dtype: DTypeLike, rngs: nnx.Rngs
    ):
        self.dtype = dtype
        self.interface = make_interface(c.interface, V, c.backbone.D, rngs, vocabulary)
        self.backbone = Transformer(c.backbone, rngs=rngs)

    def features(self, batch: Batch) -> dict[str, Array]:
        """What is computed on the way: `embedded` and `hidden`, both `[B, S, D]`."""
        return self._features(self.interface.bind(batch.seeds_B, batch.vocabulary), batch)

    def _features(self, bound: Bound, batch: Batch) -> dict[str, Array]:
        embedded = bound.embed(batch.tokens.symbols_BxS, self.dtype)
        hidden = self.backbone(embedded, Positions(batch.tokens.segments_BxS, batch.tokens.positions_BxS))
        return {"embedded": embedded, "hidden": hidden}

    def streams(self, batch: Batch) -> Float[Array, "layers B S D"]:
        """The residual stream before the first block and after each of them."""
        embedded = self.interface.bind(batch.seeds_B, batch.vocabulary).embed(batch.tokens.symbols_BxS, self.dtype)
        return self.backbone.streams(embedded, Positions(batch.tokens.segments_BxS, batch.tokens.positions_BxS))

    def logits(self, batch: Batch) -> Float[Array, "B S V"]:
        """Float32 logits of the symbol after each position."""
        bound = self.interface.bind(batch.seeds_B, batch.vocabulary)
        return bound.logits(self._features(bound, batch)["hidden"])

    def read(self, batch: Batch) -> ReadBatch:
        """One forward pass, with the interface's own loss."""
        bound = self.interface.bind(batch.seeds_B, batch.vocabulary)
        return ReadBatch(batch, bound, self._features(bound, batch)["hidden"], Extras(loss_of(bound), {}))

    def read_out(self, batch: Batch, query: Query | None = None) -> tuple[Reductions, Extras]:
        """What is asked of the logits, by default the nats of the batch's targets; and the interface's own loss."""
        read = self.read(batch)
        return read.read_out(query), read.extras

    finds_units = False

    def check_decoding(self, encoder: Encoder) -> None:
        """Raises ValueError for a model of several interfaces: its logits are of all of them, and no distribution."""
        if isinstance(self.interface, Hydra):
            names = ", ".join(self.interface.names)
            raise ValueError(f"a model of several interfaces ({names}) is decoded by one: take a part out first")

    def longest_unit(self, encoder: Encoder) -> int:
        """Every symbol is a unit."""
        return 1

    def empty(self, rows: int, symbols: int, longest: int, chunk: int) -> Cache:
        """The state of rows that have read nothing, with room for `symbols` each, read in chunks."""
        return self.backbone.empty(rows, symbols, chunk, None, self.dtype)

    def extend(
        self, state: Cache, reads: ReadCall, closes: CompletedUnits | None, longest: int, bound: Bound
    ) -> tuple[Cache, Float[Array, "B T D"]]:
        """Reads symbols; returns the new state, and what the read-out takes, at each position."""
        embedded = bound.embed(jnp.maximum(reads.symbols_BxT, 0), self.dtype)
        hidden, cache = self.backbone.extend(embedded, read_positions(reads.positions_BxT), state)
        return cache, hidden
