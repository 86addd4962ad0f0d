"""BLT's attention between a unit's slots and its bytes. Each side sees only a few of the other: no kernel is needed."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.models import unit_reductions
from lexitok.nn.layers import RmsNorm
from lexitok.nn.parameters import normal


class CrossAttention(nnx.Module):
    """Queries and keys of width `E`, without positions; `c.cross` has the heads `H`.

    Both sides are normed. The queries are added to the result twice, once inside the published module and once by its
    caller (reference: the parameters of the released models fit nothing else).
    """

    def __init__(self, c: ConfigDict, E: int, *, rngs: nnx.Rngs):
        H = c.cross.H
        if E % H:
            raise ValueError(f"cross.H is {H}, which does not divide the local width {E}")
        self.query_norm = RmsNorm(E, eps=c.encoder.norm_eps, axis="E")
        self.key_norm = RmsNorm(E, eps=c.encoder.norm_eps, axis="E")
        self.wq = normal(rngs, "E H N", (E, H, E // H), E)
        self.wk = normal(rngs, "E H N", (E, H, E // H), E)
        self.wv = normal(rngs, "E H N", (E, H, E // H), E)
        self.wo = normal(rngs, "H N E", (H, E // H, E), E)

    def _queries(self, x: Float[Array, "B S *k E"]) -> Array:
        x = self.query_norm(x)
        return jnp.einsum("B...E,EHN->B...HN", x, self.wq[...].astype(x.dtype)) * self.wq.shape[-1] ** -0.5

    def _keys_and_values(self, x: Float[Array, "B S *k E"]) -> tuple[Array, Array]:
        x = self.key_norm(x)
        k = jnp.einsum("B...E,EHN->B...HN", x, self.wk[...].astype(x.dtype))
        return k, jnp.einsum("B...E,EHN->B...HN", x, self.wv[...].astype(x.dtype))

    def _out(self, x_BxSxE: Array, mixed: Array) -> Array:
        return 2 * x_BxSxE + jnp.einsum("B...HN,HNE->B...E", mixed, self.wo[...].astype(x_BxSxE.dtype))

    def units_to_bytes(
        self, q_BxWxkxE: Float[Array, "B W k E"], h_BxSxE: Float[Array, "B S E"], of_BxS: Int[Array, "B S"]
    ) -> Float[Array, "B W k E"]:
        """The slots of each unit attend to the unit's bytes: a softmax over segments."""
        B, W = q_BxWxkxE.shape[:2]
        q = self._queries(q_BxWxkxE)
        keys, values = self._keys_and_values(h_BxSxE)
        own = unit_reductions.take_units(q.reshape(B, W, -1), of_BxS).reshape(B, -1, *q.shape[2:])
        scores = jnp.einsum("BSkHN,BSHN->BSkH", own, keys, preferred_element_type=jnp.float32)
        weights = unit_reductions.unit_softmax(scores, of_BxS, W).astype(values.dtype)
        return self._out(q_BxWxkxE, unit_reductions.unit_sum(weights[..., None] * values[:, :, None], of_BxS, W))

    def bytes_to_unit(
        self, x_BxSxE: Float[Array, "B S E"], guides_BxVxkxE: Float[Array, "B V k E"], guide_BxS: Int[Array, "B S"]
    ) -> Float[Array, "B S E"]:
        """Each byte attends to the slots of the unit that it sees."""
        B, V = guides_BxVxkxE.shape[:2]
        q = self._queries(x_BxSxE)
        keys, values = (
            unit_reductions.take_units(y.reshape(B, V, -1), guide_BxS).reshape(B, -1, *y.shape[2:])
            for y in self._keys_and_values(guides_BxVxkxE)
        )
        scores = jnp.einsum("BSHN,BSkHN->BSkH", q, keys, preferred_element_type=jnp.float32)
        weights = jax.nn.softmax(scores, axis=2).astype(values.dtype)
        return self._out(x_BxSxE, jnp.einsum("BSkH,BSkHN->BSHN", weights, values))
