"""A small classifier on a model's vectors: what can be read off them, by a map of two layers."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

FloatLeafD = Float[Array, "D"] | Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Probe:
    """A trained classifier: features, standardised, through a hidden layer with GELU.

    Attributes:
      mean, deviation: float32 `[D]`, of the features that it was trained on.
      layers: `into: [D, F]`, `into_bias: [F]`, `out: [F, C]`, `out_bias: [C]`.
    """

    mean: FloatLeafD
    deviation: FloatLeafD
    layers: dict[str, Any]

    def log_p(self, x_NxD: np.ndarray) -> np.ndarray:
        """float32 `[N, C]`: log-probabilities of the classes, for all features at once."""
        return np.asarray(jax.device_get(_log_p(self, jnp.asarray(x_NxD, jnp.float32))))


def fit(
    x_NxD: np.ndarray,
    y_N: np.ndarray,
    classes: int,
    *,
    seed: int = 0,
    steps: int = 2000,
    batch: int = 512,
    lr: float = 1e-3,
    width: int = 512,
) -> Probe:
    """Trains a classifier with AdamW, the rate falling to zero along a cosine; the same seed gives the same one.

    Args:
      x_NxD: features.
      y_N: the class of each, in `[0, classes)`.
      classes: `C`.
      seed: of its first parameters and of the batches.
      steps: of training.
      batch: features that a step sees, drawn with replacement.
      lr: the first learning rate.
      width: `F`.

    Raises:
      ValueError: there are no features, not one class for each, or a class out of range.
    """
    if x_NxD.ndim != 2 or not len(x_NxD) or y_N.shape != x_NxD.shape[:1]:
        raise ValueError(f"features of shape {x_NxD.shape} need a class each; classes have shape {y_N.shape}")
    if y_N.min() < 0 or y_N.max() >= classes:
        raise ValueError(f"classes from {y_N.min()} to {y_N.max()}: they have to be in 0..{classes - 1}")
    x = jnp.asarray(x_NxD, jnp.float32)
    mean, deviation = jnp.mean(x, axis=0), jnp.std(x, axis=0)
    deviation = jnp.where(deviation > 0.0, deviation, 1.0)
    first, drawn = jax.random.split(jax.random.key(seed))
    start = Probe(mean, deviation, _first_layers(first, x.shape[1], width, classes))
    return _trained(start, x, jnp.asarray(y_N, jnp.int32), drawn, steps=steps, batch=batch, lr=lr)


def _first_layers(key: Array, D: int, F: int, C: int) -> dict[str, Array]:
    return {
        "into": jax.random.normal(key, (D, F), jnp.float32) * D**-0.5,
        "into_bias": jnp.zeros(F, jnp.float32),
        "out": jnp.zeros((F, C), jnp.float32),  # the first predictions are uniform
        "out_bias": jnp.zeros(C, jnp.float32),
    }


@jax.jit
def _log_p(probe: Probe, x_NxD: Float[Array, "N D"]) -> Float[Array, "N C"]:
    x = (x_NxD - probe.mean[None]) / probe.deviation[None]
    h = jax.nn.gelu(x @ probe.layers["into"] + probe.layers["into_bias"][None])
    return jax.nn.log_softmax(h @ probe.layers["out"] + probe.layers["out_bias"][None])


@functools.partial(jax.jit, static_argnames=("steps", "batch", "lr"))
def _trained(
    probe: Probe, x_NxD: Float[Array, "N D"], y_N: Int[Array, "N"], key: Array, *, steps: int, batch: int, lr: float
) -> Probe:
    optimizer = optax.adamw(optax.cosine_decay_schedule(lr, steps))

    def loss(layers, x_BxD, y_B):
        log_p = _log_p(dataclasses.replace(probe, layers=layers), x_BxD)
        return -jnp.mean(jnp.take_along_axis(log_p, y_B[:, None], axis=1))

    def step(carry, number):
        layers, state = carry
        at = jax.random.randint(jax.random.fold_in(key, number), (batch,), 0, len(x_NxD))
        grads = jax.grad(loss)(layers, x_NxD[at], y_N[at])
        with jax.numpy_dtype_promotion("standard"):  # Optax raises a float to an integer power
            updates, state = optimizer.update(grads, state, layers)
        return (optax.apply_updates(layers, updates), state), None

    (layers, _), _ = jax.lax.scan(step, (probe.layers, optimizer.init(probe.layers)), jnp.arange(steps))
    return dataclasses.replace(probe, layers=layers)
