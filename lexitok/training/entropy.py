"""The byte model of BLT's splitter: out of the run that trained it into a fresh model, with a threshold that fits."""

import dataclasses
import logging
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from lexitok.config.files import diff
from lexitok.data.batch import Batch
from lexitok.data.encoders import Encoder
from lexitok.data.sources import open_source
from lexitok.data.windows import eval_batches
from lexitok.models.routers import EntropyRouter
from lexitok.ops.attention import Positions
from lexitok.parameter_names import from_dicts
from lexitok.runs.checkpoints.reading import read_checkpoint
from lexitok.training.errors import SetupError
from lexitok.training.state import TrainState

log = logging.getLogger(__name__)
_TOLERANCE = 0.1  # of the number of units that is asked for
TRAIN = "python experiments/train.py --config=configs/entropy_lm.py --workdir=RUN"


def install(state: TrainState, config: ConfigDict, encoder: Encoder) -> TrainState:
    """A fresh state whose entropy router, if it has one, asks the model of its run, with a calibrated threshold.

    Raises:
      SetupError: no run is named, or its model has another shape.
      CheckpointError: the run has no checkpoint that can be read.
    """
    if config.model.kind != "byte_unit_lm" or config.model.stage.router.kind != "entropy":
        return state
    c = config.model.stage.router
    router = _with_model(state.model.stage.router, c)
    threshold = calibrate(router, _sample(config, encoder), c.bytes_per_unit)
    router = _replaced(router, frozen_threshold=threshold)
    log.info("entropy threshold %.4f nats for %.2f bytes a unit", threshold, c.bytes_per_unit)
    put = lambda new, old: jax.device_put(jnp.asarray(new, old.dtype), old.sharding)  # noqa: E731
    models = [None if model is None else _with_router(model, router, put) for model in (state.model, state.ema)]
    return dataclasses.replace(state, model=models[0], ema=models[1])


def calibrate(router: EntropyRouter, batches: Iterable[Batch], bytes_per_unit: float) -> float:
    """The threshold at which units have so many bytes, on a sample; cuts of long units are not counted.

    Args:
      router: with its model.
      batches: of the sample.
      bytes_per_unit: above 1.

    Raises:
      SetupError: the sample is too small, or so repetitive that no threshold gives such units.
    """
    if bytes_per_unit <= 1:
        raise SetupError(f"model.stage.router.bytes_per_unit is {bytes_per_unit}; it must be above 1")
    measured, positions = [], 0
    measure = jax.jit(lambda router, batch: router.measure(batch.tokens.symbols_BxS, _positions(batch)))
    for batch in batches:
        live = np.asarray(batch.tokens.segments_BxS) > 0
        free = live & (np.asarray(batch.tokens.positions_BxS) > (router.c.rule == "relative"))
        measured.append(np.asarray(measure(router, jax.tree.map(jnp.asarray, batch)))[free])
        positions += int(live.sum())
    values = np.sort(np.concatenate(measured)) if measured else np.zeros(0)
    wanted = round(positions / bytes_per_unit) - (positions - len(values))
    if not 0 < wanted < len(values):
        raise SetupError(
            f"a sample of {positions} positions cannot be cut into units of {bytes_per_unit} bytes: raise "
            "model.stage.router.sample_bytes"
        )
    threshold = float((values[-wanted - 1] + values[-wanted]) / 2)
    found = int((values > threshold).sum())
    if abs(found - wanted) > _TOLERANCE * wanted:
        raise SetupError(
            f"no threshold gives units of {bytes_per_unit} bytes, the nearest {positions / (found or 1):.2f}: many "
            "entropies of the sample are equal. Does the text repeat itself? Another router.sample_bytes may help"
        )
    return threshold


def _positions(batch: Batch) -> Positions:
    return Positions(batch.tokens.segments_BxS, batch.tokens.positions_BxS)


def _sample(config: ConfigDict, encoder: Encoder) -> Iterable[Batch]:
    data = config.data
    corpus = open_source(data.source, data.train_split, cache=data.cache, field=data.field)
    documents = [d.data for d in corpus.documents(config.model.stage.router.sample_bytes)]
    batches = eval_batches(documents, encoder, rows=data.rows, symbols=data.symbols, units=data.units, overlap=0.0)
    return (batch for batch, _ in batches)


def _with_model(router: EntropyRouter, c: ConfigDict) -> EntropyRouter:
    if not c.run:
        raise SetupError(
            "model.stage.router.run is empty: BLT's splitter asks a small byte model. Train one, and name its run:\n"
            f"    {TRAIN}\n    --config.model.stage.router.run=RUN\n(or split at spaces: configs/blt.py:space)"
        )
    checkpoint = read_checkpoint(c.run)
    differences = {k: v for k, v in diff(c.lm, checkpoint.config.model).items() if not k.endswith("compute_dtype")}
    if differences:
        raise SetupError(f"model.stage.router.lm is not the model of {c.run}; they differ in {differences}")
    return _replaced(router, frozen_lm=from_dicts(checkpoint.parameters, router.frozen_lm))


def _replaced(router: EntropyRouter, **parts: Any) -> EntropyRouter:
    leaves, structure = jax.tree.flatten(router)
    router = jax.tree.unflatten(structure, leaves)
    for name, value in parts.items():
        if name == "frozen_threshold":
            router.frozen_threshold[...] = jnp.asarray(value, jnp.float32)
        else:
            setattr(router, name, value)
    return router


def _with_router(model: Any, router: EntropyRouter, put: Any) -> Any:
    leaves, structure = jax.tree.flatten(model)
    model = jax.tree.unflatten(structure, leaves)
    model.stage.router = jax.tree.map(put, router, model.stage.router)
    return model
