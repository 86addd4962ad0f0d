"""What a hypernetwork learns: from the rows of a token's parts to one vector, and from that to a row.

Architecture of ZeTT (arXiv 2405.07883, section 3.3) with this project's transformer: norms stand before its layers, and
its positions are rotary beside the learned ones, where ZeTT has RoBERTa's layers.
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int
from ml_collections import ConfigDict

from lexitok.nn.layers import ACTIVATIONS, LayerNorm, Project, spread
from lexitok.nn.parameters import normal, ones, zeros
from lexitok.nn.transformer import Transformer
from lexitok.ops.attention import Positions

_EPS = 1e-5


class Projector(nnx.Module):
    """`norm(x + gelu(down(gelu(up(x)))))`, ZeTT's block around the stack."""

    def __init__(self, E: int, F: int, *, rngs: nnx.Rngs):
        self.up = Project("E F", E, F, rngs=rngs, bias="learned")
        self.down = Project("F E", F, E, rngs=rngs, bias="learned")
        self.norm = LayerNorm(E, eps=_EPS, bias="learned", axis="E")

    def __call__(self, x: Float[Array, "*B E"]) -> Float[Array, "*B E"]:
        gelu = ACTIVATIONS["gelu"]
        return self.norm(x + gelu(self.down(gelu(self.up(x)))))


class Network(nnx.Module):
    """A token's parts to one vector of the stack's width: the first position of a stack that sees all of them.

    Args:
      c: the section of the stack.
      C: elements of what is known of a part.
      P: places that parts may have. Each has a vector: a mixture of equal parts is the same however many they are, and
        `aa` would be `a`.
      languages: how many there are; each has a vector, a position more behind the parts. 0: none.
    """

    def __init__(self, c: ConfigDict, C: int, P: int, languages: int, *, rngs: nnx.Rngs):
        self.enter = Project("D E", C, c.D, rngs=rngs, bias="learned")
        self.projector = Projector(c.D, c.F, rngs=rngs)
        self.places = normal(rngs, "P E", (P, c.D), 1, gain=0.1)
        self.languages = normal(rngs, "P E", (languages, c.D), 1) if languages else None
        self.stack = Transformer(c, scope="full", rngs=rngs)

    def __call__(
        self, parts_VxPxC: Float[Array, "V P C"], there_VxP: Bool[Array, "V P"], language: Int[Array, ""]
    ) -> Float[Array, "V E"]:
        """The vectors of tokens.

        Args:
          parts_VxPxC: their parts, in the dtype that is to be computed in.
          there_VxP: where there is one.
          language: of all of them.

        Raises:
          ValueError: tokens have more parts than there are places.
        """
        (V, P), places = there_VxP.shape, self.places.shape[0]
        if places < P:
            raise ValueError(f"tokens are spelled in up to {P} parts, and there are {places} places (interface.parts)")
        x = self.projector(self.enter(parts_VxPxC))
        x = x + spread(self.places[...][:P], x)
        if self.languages is not None:
            own = self.languages[...].at[language].get(mode="fill", fill_value=jnp.nan).astype(x.dtype)
            x = jnp.concatenate([x, jnp.broadcast_to(own[None, None], (V, 1, len(own)))], axis=1)
            there_VxP = jnp.concatenate([there_VxP, jnp.ones((V, 1), bool)], axis=1)
        order = jnp.broadcast_to(jnp.arange(x.shape[1], dtype=jnp.int32)[None], there_VxP.shape)
        return self.stack(x, Positions(there_VxP.astype(jnp.int32), order))[:, 0]


class Head(nnx.Module):
    """A token's vector to what is learned of its row.

    Args:
      c: the section of the stack.
      D: elements of a row.
      first: of the map to it: `zeros`, or `drawn` at random and then scaled.
    """

    def __init__(self, c: ConfigDict, D: int, first: str, *, rngs: nnx.Rngs):
        drawn = first == "drawn"
        self.projector = Projector(c.D, c.F, rngs=rngs)
        self.leave = Project("E D", c.D, D, rngs=rngs, gain=1.0 if drawn else 0.0, bias="learned")
        self.frozen_scale = ones("D", D) if drawn else None
        self.frozen_shift = zeros("D", D) if drawn else None

    def __call__(self, h_VxE: Float[Array, "V E"]) -> Float[Array, "V D"]:
        """Float32."""
        out = self.leave(self.projector(h_VxE)).astype(jnp.float32)
        if self.frozen_scale is None or self.frozen_shift is None:
            return out
        return out * self.frozen_scale[...][None] + self.frozen_shift[...][None]
