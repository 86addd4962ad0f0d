"""`TokenLM`: every symbol, be it a token or a byte, is a position of the backbone."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.data.batch import Batch
from lexitok.interfaces import make_interface
from lexitok.models.extras import Extras
from lexitok.nn.transformer import Transformer
from lexitok.ops.attention import Positions
from lexitok.ops.linear_cross_entropy import Scores


class TokenLM(nnx.Module):
    """An interface around a causal backbone; `c` is a `lexitok.config.token_lm` section, frozen.

    `tokens` are the bytes of the symbols, for interfaces that look at them.
    """

    kinds_of_text = ("subword", "bytes")
    needs = ("tokens",)

    @staticmethod
    def check(config: ConfigDict) -> None:
        """There is nothing to check in a whole tree of settings but the kind of text."""

    def __init__(self, c: ConfigDict, V: int, *, tokens: Sequence[bytes] = (), dtype: DTypeLike, rngs: nnx.Rngs):
        self.dtype = dtype
        self.interface = make_interface(c.interface, V, c.backbone.D, rngs, tokens)
        self.backbone = Transformer(c.backbone, rngs=rngs)

    def features(self, batch: Batch) -> dict[str, Array]:
        """What is computed on the way: `embedded` and `hidden`, both `[B, S, D]`."""
        embedded = self.interface.embed(batch.tokens.symbols_BxS, batch.seeds_B, self.dtype)
        hidden = self.backbone(embedded, Positions(batch.tokens.segments_BxS, batch.tokens.positions_BxS))
        return {"embedded": embedded, "hidden": hidden}

    def streams(self, batch: Batch) -> Float[Array, "layers B S D"]:
        """The residual stream before the first block and after each of them."""
        embedded = self.interface.embed(batch.tokens.symbols_BxS, batch.seeds_B, self.dtype)
        return self.backbone.streams(embedded, Positions(batch.tokens.segments_BxS, batch.tokens.positions_BxS))

    def logits(self, batch: Batch) -> Float[Array, "B S V"]:
        """Float32 logits of the symbol after each position."""
        return self.interface.logits(self.features(batch)["hidden"], batch.seeds_B)

    def scores(self, batch: Batch, chunk: int = 512) -> Scores:
        """Nats of the batch's targets."""
        return self.interface.scores(self.features(batch)["hidden"], batch.tokens.targets_BxS, batch.seeds_B, chunk)

    def scores_and_extras(self, batch: Batch, chunk: int = 512) -> tuple[Scores, Extras]:
        """Nats of the batch's targets; there is nothing else."""
        return self.scores(batch, chunk), Extras(jnp.zeros((), jnp.float32), {})
