"""`TokenLM`: every symbol, be it a token or a byte, is a position of the backbone."""

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.data.batch import Batch
from lexitok.interfaces import INTERFACES
from lexitok.models.extras import Extras
from lexitok.nn.transformer import Transformer
from lexitok.ops.attention import Places
from lexitok.ops.linear_cross_entropy import Scores


class TokenLM(nnx.Module):
    """An interface around a causal backbone; `c` is a `lexitok.config.token_lm` section, frozen."""

    def __init__(self, c: ConfigDict, V: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        if c.interface not in INTERFACES:
            raise ValueError(f"unknown interface '{c.interface}'; there are {', '.join(INTERFACES)}")
        self.dtype = dtype
        self.interface = INTERFACES[c.interface](
            V, c.backbone.D, tied=c.tied, embed_scale=c.embed_scale, softcap=c.logit_softcap, rngs=rngs
        )
        self.backbone = Transformer(c.backbone, rngs=rngs)

    def features(self, batch: Batch) -> dict[str, Array]:
        """What is computed on the way: `embedded` and `hidden`, both `[B, S, D]`."""
        embedded = self.interface.embed(batch.symbols_BxS, self.dtype)
        hidden = self.backbone(embedded, Places(batch.segments_BxS, batch.positions_BxS))
        return {"embedded": embedded, "hidden": hidden}

    def logits(self, batch: Batch) -> Float[Array, "B S V"]:
        """Float32 logits of the symbol after each position."""
        return self.interface.logits(self.features(batch)["hidden"])

    def scores(self, batch: Batch, chunk: int = 512) -> Scores:
        """Nats of the batch's targets."""
        return self.interface.scores(self.features(batch)["hidden"], batch.targets_BxS, chunk)

    def scores_and_extras(self, batch: Batch, chunk: int = 512) -> tuple[Scores, Extras]:
        """Nats of the batch's targets; there is nothing else."""
        return self.scores(batch, chunk), Extras(jnp.zeros((), jnp.float32), {})
