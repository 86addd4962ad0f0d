"""BLT's splitter: a unit ends where a small byte model is unsure of what comes next (arXiv 2412.09871, section 2.3)."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.interfaces import Bound
from lexitok.models.routers.boundaries import Boundaries, before, last_live
from lexitok.models.token_lm import TokenLM
from lexitok.nn.parameters import parameter
from lexitok.ops.attention import Positions

RULES = ("global", "relative")


class EntropyRouter(nnx.Module):
    """A frozen `TokenLM` over the same symbols, float32 by product too, and a threshold on its predictions' entropy.

    `c` has `lm`, the shape of the model; `rule`: a unit ends where the entropy is above the threshold (`global`), or
    where it rises by more than it (`relative`); and `longest`, the positions after which a unit ends in any case. As in
    BLT, `relative` has a unit end with the second position of a piece. Model and threshold are set by
    `lexitok.training.entropy.install`.
    """

    def __init__(self, c: ConfigDict, D: int, *, rngs: nnx.Rngs):
        del D
        if c.rule not in RULES:
            raise ValueError(f"unknown entropy rule '{c.rule}'; there are {', '.join(RULES)}")
        self.c = c
        self.frozen_lm = TokenLM(c.lm, c.symbols, dtype=jnp.float32, rngs=rngs)
        self.frozen_threshold = parameter("", jnp.asarray(1.0, jnp.float32))

    def entropies(self, symbols_BxS: Int[Array, "B S"], positions: Positions) -> Float[Array, "B S"]:
        """Entropy of the prediction behind each position, nats."""
        lm = jax.lax.stop_gradient(self.frozen_lm)
        with jax.default_matmul_precision("highest"):
            return _entropy(lm, lm.backbone(_embed(lm, symbols_BxS), positions))

    def measure(self, symbols_BxS: Int[Array, "B S"], positions: Positions) -> Float[Array, "B S"]:
        """What the rule compares with the threshold: the entropy, or its rise from the position before; nats."""
        entropy = self.entropies(symbols_BxS, positions)
        return entropy if self.c.rule == "global" else entropy - before(entropy[..., None])[..., 0]

    def __call__(self, h_BxSxD: Any, symbols_BxS: Int[Array, "B S"], positions: Positions) -> Boundaries:
        """Where units end in packed rows."""
        del h_BxSxD
        entropy = self.entropies(symbols_BxS, positions)
        ends = self._decide(before(entropy[..., None])[..., 0], entropy, positions)
        return Boundaries(ends | self._overdue(ends, jnp.full(len(ends), -1, jnp.int32), positions))

    def _decide(self, before_BxS: Array, entropy_BxS: Array, positions: Positions) -> Array:
        threshold = jax.lax.stop_gradient(self.frozen_threshold[...])
        if self.c.rule == "global":
            return (entropy_BxS > threshold) | (positions.positions_BxS == 0)
        return (entropy_BxS - before_BxS > threshold) | (positions.positions_BxS <= 1)

    def _overdue(self, ends_BxS: Array, last_B: Array, positions: Positions) -> Array:
        """Positions a multiple of `longest` after the last one at which the rule had a unit end."""
        at = jnp.where(ends_BxS, positions.positions_BxS, -1)
        index = jnp.broadcast_to(jnp.arange(at.shape[1], dtype=jnp.int32)[None], at.shape)
        newest = jax.lax.cummax(jnp.where(ends_BxS, index, -1), axis=1)
        last = jnp.where(newest < 0, last_B[:, None], jnp.take_along_axis(at, jnp.maximum(newest, 0), axis=1))
        return (positions.positions_BxS - last) % self.c.longest == 0

    def empty(self, rows: int, positions: int, new: int, dtype: DTypeLike) -> Any:
        """The state of rows that have read nothing: the model's cache, the last entropy, the last end by rule."""
        del dtype
        cache = self.frozen_lm.backbone.empty(rows, positions, new, None, jnp.float32)
        return cache, jnp.zeros((rows, 1, 1), jnp.float32), jnp.full((rows, 1, 1), -1, jnp.int32)

    def extend(
        self, state: Any, h_BxTxD: Any, symbols_BxT: Int[Array, "B T"], positions: Positions
    ) -> tuple[Any, Boundaries]:
        """As a call, on new positions behind those that were read."""
        del h_BxTxD
        (cache, previous, last), lm = state, self.frozen_lm
        with jax.default_matmul_precision("highest"):
            hidden, cache = lm.backbone.extend(_embed(lm, symbols_BxT), positions, cache)
            entropy = _entropy(lm, hidden)
        ends = self._decide(before(entropy[..., None], previous)[..., 0], entropy, positions)
        boundaries = Boundaries(ends | self._overdue(ends, last[:, 0, 0], positions))
        newest = jnp.max(jnp.where(ends & (positions.segments_BxS >= 0), positions.positions_BxS, -1), axis=1)
        last = jnp.maximum(last, newest[:, None, None])
        return (cache, last_live(entropy[..., None], positions, previous), last), boundaries

    def loss(self, boundaries: Boundaries, positions: Positions) -> Float[Array, ""]:
        """Nothing is learned."""
        del boundaries, positions
        return jnp.zeros((), jnp.float32)


def _bound(lm: TokenLM, rows: Array) -> Bound:
    return lm.interface.bind(jnp.zeros(len(rows), jnp.int32))


def _embed(lm: TokenLM, symbols_BxS: Array) -> Float[Array, "B S D"]:
    return _bound(lm, symbols_BxS).embed(symbols_BxS, jnp.float32)


def _entropy(lm: TokenLM, hidden_BxSxD: Array) -> Float[Array, "B S"]:
    logits = _bound(lm, hidden_BxSxD).logits(hidden_BxSxD)
    log_p = jax.nn.log_softmax(logits, axis=-1)
    return -jnp.sum(jnp.exp(log_p) * log_p, axis=-1)
