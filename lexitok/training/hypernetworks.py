"""The scale of the rows that a hypernetwork of the published form makes at the start."""

import logging
from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lexitok.data.spelling import Spelling
from lexitok.interfaces.hypernetwork import Hypernetwork
from lexitok.sharding import replicated
from lexitok.training.state import TrainState, with_parameters

log = logging.getLogger(__name__)
_ANCHORS = 2048  # tokens of the source, as many as in ZeTT
_EPS = 1e-8
_FIXED = "interface.head_{side}.frozen_{what}"


def scaled(state: TrainState, taken: Collection[str] = ()) -> TrainState:
    """The state whose hypernetwork gives tokens of the source, at the start, rows of the source's mean and deviation.

    Element by element, as ZeTT does it (arXiv 2405.07883, appendix); the scales stay as they are from then on. A state
    with another interface is returned as it is, and so is one of the residual form, which needs no scale.

    Args:
      state: with the source's table.
      taken: names of the parameters that came from other runs: scales among them go with what was learned there.
    """
    interface = getattr(state.model, "interface", None)
    if not isinstance(interface, Hypernetwork) or interface.c.form != "published":
        return state
    if _FIXED.format(side="in", what="scale") in taken:
        return state
    text = np.flatnonzero(np.asarray(interface.made_lengths[...]))
    anchors = text[np.linspace(0, len(text) - 1, min(_ANCHORS, len(text))).astype(np.int64)].astype(np.int32)
    values = jax.jit(_scales, out_shardings=replicated())(interface, anchors)
    log.info("rows begin with the mean and the deviation of the base model's")
    return with_parameters(state, {name: np.asarray(x) for name, x in jax.device_get(values).items()})


def _scales(interface: Hypernetwork, anchors: Int[Array, "a"]) -> dict[str, Array]:
    """By name in the model."""
    tables = interface.tables(Spelling(anchors[:, None], jnp.asarray(interface.c.language, jnp.int32)))
    found = {}
    sources: dict[str, Any] = {"in": interface.frozen_source.table, "out": interface.frozen_source.head}
    for side, rows in (("in", tables.entering_VxD), ("out", tables.leaving_VxD)):
        if rows is None:
            continue
        source = sources[side][...].astype(jnp.float32)
        scale_D = jnp.std(source, axis=0) / (jnp.std(rows, axis=0) + _EPS)
        shift_D = jnp.mean(source, axis=0) - jnp.mean(rows * scale_D[None], axis=0)
        found |= {_FIXED.format(side=side, what="scale"): scale_D, _FIXED.format(side=side, what="shift"): shift_D}
    return found
