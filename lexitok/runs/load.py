"""A trained model out of its run directory, on whatever devices there are."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from ml_collections import ConfigDict

from lexitok.data.encoders import Encoder, make_encoder
from lexitok.data.sources import open_source
from lexitok.made import is_made, with_made, without_made
from lexitok.models.build import evaluated, model_for
from lexitok.models.ensemble import Ensemble
from lexitok.parameter_names import map_with_name, names, to_dicts
from lexitok.runs.checkpoints.files import RunRecord
from lexitok.runs.parameters import read_parameters
from lexitok.runs.run import Run, RunError
from lexitok.sharding import current_mesh, replicated, state_shardings
from lexitok.text.tokenizer_files import tokenizer_from_bytes

log = logging.getLogger(__name__)


def load_model(run: Run | str | Path, step: int | None = None) -> tuple[Any, Encoder]:
    """The model of a run's checkpoint, and the encoder that it was trained with.

    What is evaluated is what is loaded: the exponential average of the parameters where the run kept one. What is made
    and not learnt, as pictures of tokens, no checkpoint holds (`lexitok.made`): it is made again. Parameters are
    split over the mesh that is set (`jax.set_mesh`) or, without one, put on the default device.

    Args:
      run: a run, or its directory.
      step: of the checkpoint; None for the newest that can be read.

    Raises:
      RunError: the parameters in the checkpoint are not those of the model that its config describes, or not finite.
      CheckpointError: there is no such checkpoint, or it is damaged.
    """
    path = _path(run)
    checkpoint = read_parameters(path, step)
    encoder = encoder_of(checkpoint.record)
    like = evaluated(abstract_model(checkpoint.config, encoder))
    model = with_made(_fill(like, checkpoint.parameters, path), model_for(checkpoint.config, encoder), replicated())
    log.info("loaded step %d of %s", checkpoint.step, path)
    mesh = current_mesh()
    return jax.device_put(model, None if mesh is None else state_shardings(like, mesh)), encoder


def load_ensemble(runs: Sequence[Run | str | Path], mean: str = "probability") -> tuple[Ensemble, Encoder]:
    """The models of several runs as one (`lexitok.models.ensemble`), and the encoder of the first.

    Raises:
      RunError: their texts are not the same symbols, cut into the same units; and as `load_model`.
      ValueError: an unknown mean.
    """
    loaded = [load_model(run) for run in runs]
    models, encoders = zip(*loaded, strict=True)
    kinds = [(e.kind, e.vocabulary.fingerprint, e.boundary) for e in encoders]
    for run, kind in zip(runs, kinds, strict=True):
        if kind != kinds[0]:
            what = "vocabulary" if kind[1] != kinds[0][1] else "way to cut texts into units"
            raise RunError(f"{_path(run)} has another {what} than {_path(runs[0])}: no mean of their predictions")
    return Ensemble(models, mean), encoders[0]


def _path(run: Run | str | Path) -> Path:
    return run.path if isinstance(run, Run) else Path(run)


def encoder_of(record: RunRecord) -> Encoder:
    """The encoder of a run, with the tokenizer that its checkpoint holds."""
    tokenizer = tokenizer_from_bytes(record.vocabulary) if record.vocabulary else None
    return make_encoder(record.config.text, tokenizer)


def abstract_model(config: ConfigDict, encoder: Encoder) -> Any:
    """Shapes and dtypes of a config's model; nothing is allocated."""
    make = model_for(config, encoder)
    return jax.eval_shape(lambda key: make(nnx.Rngs(params=key)), jax.eval_shape(lambda: jax.random.key(0)))


def _fill(like: Any, parameters: Mapping[str, Any], path: Path) -> Any:
    """`like` with the parameters of a checkpoint, all of them, each of its shape; what is made is left as it is."""
    saved = {name: tuple(x.shape) for name, x in parameters.items()}
    wanted = {name: tuple(x.shape) for name, x in without_made(names(to_dicts(like))).items()}
    differing = [
        f"{name}: checkpoint {saved.get(name, 'has none')}, model {wanted.get(name, 'has none')}"
        for name in sorted(saved.keys() | wanted.keys())
        if saved.get(name) != wanted.get(name)
    ]
    if differing:
        raise RunError(
            f"the checkpoint in {path} does not hold the parameters of its config's model: {'; '.join(differing[:3])}"
            f"{f' and {len(differing) - 3} more' if len(differing) > 3 else ''}. It was written by another version."
        )

    def fill(name: str, leaf: Any) -> Any:
        return leaf if is_made(name) else np.asarray(parameters[name], leaf.dtype)

    return map_with_name(fill, like)


def validation_documents(run: Run, max_bytes: int = 200_000) -> list[bytes]:
    """Whole documents of the run's validation split, from where its data lies (`data.cache`).

    Raises:
      SourceError: the source is not to be found here.
    """
    data = run.config.data
    corpus = open_source(data.source, data.validation_split, cache=data.cache, field=data.field)
    return [document.data for document in corpus.documents(max_bytes)]
