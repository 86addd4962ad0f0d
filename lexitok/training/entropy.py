"""The threshold of BLT's splitter, for the byte model that it asks."""

import logging
import operator
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from lexitok.data.batch import Batch
from lexitok.data.encoders import Encoder
from lexitok.data.sources import open_source
from lexitok.data.windows import eval_batches
from lexitok.models.routers import EntropyRouter
from lexitok.ops.attention import Positions
from lexitok.training.state import SetupError, TrainState, with_parameters

log = logging.getLogger(__name__)
_TOLERANCE = 0.1  # of the number of units that is asked for
_NEARLY = 0.005  # of that number, by which a threshold may miss it for being further from any value
_ROUNDING = 1e-5  # nats; entropies of the same text on two processors differ by less
TRAIN = "python experiments/train.py --config=configs/entropy_lm.py --workdir=RUN"


def calibrated(state: TrainState, path: str, c: ConfigDict, config: ConfigDict, encoder: Encoder) -> TrainState:
    """The state of a model with an entropy router, with the threshold that fits the text and the router's model.

    Args:
      path, c: of the router in the model, and its section there.

    Raises:
      SetupError: as `calibrate`.
    """
    router = operator.attrgetter(path)(state.model)
    threshold = calibrate(router, _sample(config, encoder, c.sample_bytes), c.bytes_per_unit)
    log.info("entropy threshold %.4f nats for %.2f bytes a unit", threshold, c.bytes_per_unit)
    return with_parameters(state, {f"{path}.frozen_threshold": np.asarray(threshold, np.float32)})


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
    threshold = _in_the_widest_gap(values, wanted)
    # As many as another machine may find, whose rounding differs.
    found = [int((values > threshold + nudge).sum()) for nudge in (_ROUNDING, 0.0, -_ROUNDING)]
    if any(abs(count - wanted) > _TOLERANCE * wanted for count in found):
        raise SetupError(
            f"no threshold gives units of {bytes_per_unit} bytes, the nearest {positions / (found[1] or 1):.2f}: many "
            "entropies of the sample are equal, or differ by rounding only. Does the text repeat itself? Another "
            "router.sample_bytes may help"
        )
    return threshold


def _in_the_widest_gap(values: np.ndarray, wanted: int) -> float:
    """The middle of the widest gap between the values next to which `wanted` of them are above, or nearly as many."""
    reach = int(_NEARLY * wanted)
    cuts = np.arange(max(len(values) - wanted - reach, 1), min(len(values) - wanted + reach, len(values) - 1) + 1)
    cut = cuts[np.argmax(values[cuts] - values[cuts - 1])]
    return float((values[cut - 1].astype(np.float64) + values[cut]) / 2)


def _positions(batch: Batch) -> Positions:
    return Positions(batch.tokens.segments_BxS, batch.tokens.positions_BxS)


def _sample(config: ConfigDict, encoder: Encoder, nbytes: int) -> Iterable[Batch]:
    data = config.data
    corpus = open_source(data.source, data.train_split, cache=data.cache, field=data.field)
    documents = [d.data for d in corpus.documents(nbytes)]
    batches = eval_batches(documents, encoder, rows=data.rows, symbols=data.symbols, units=data.units, overlap=0.0)
    return (batch for batch, _ in batches)
