"""A HAT around the backbone of a pretrained checkpoint, as a run that training starts from.

Its backbone's blocks are the checkpoint's; its encoder, decoder, pool and table are new. The checkpoint's table and
tokenizer are left behind.
"""

from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from lexitok.config.files import flatten
from lexitok.hub.conversion import check_free, write_run
from lexitok.hub.load import described, read_model
from lexitok.hub.stored_tensors import HubError
from lexitok.parameter_names import map_with_name, names, to_dicts
from lexitok.runs.checkpoints.files import RunRecord
from lexitok.training.setup import make_setup

BACKBONE = "stage.backbone."
HOW = ("remat", "attention")  # settings of a backbone that say how and not what is computed


def to_hat(source: str | Path, workdir: str | Path, config: ConfigDict) -> None:
    """Makes the model that `config` describes, with a pretrained backbone, and writes it as a run of step 0.

    Args:
      source: of the checkpoint, as for `lexitok.hub.load`.
      workdir: of the new run; there must be nothing yet.
      config: the whole tree of a byte-unit model, as `configs/hat_pretrained.py` gives it; `config.train.start` is not
        looked at.

    Raises:
      HubError: as `load`; there is something at `workdir`; the model has no units; or its backbone is not described as
        the checkpoint's is: names the settings.
    """
    check_free(Path(workdir))
    config = config.copy_and_resolve_references()
    config.train.start.run = ""
    if "stage" not in config.model:
        raise HubError(f"a model of kind '{config.model.kind}' has no backbone between an encoder and a decoder")
    setup = make_setup(config)
    with jax.set_mesh(setup.mesh):
        _, description = described(source)
        _check_same(config.model.stage.backbone, description.model.backbone, str(source))
        pretrained = read_model(description, mesh=setup.mesh)
        model = _with_backbone(setup.init_model(), names(to_dicts(pretrained.backbone)))
        versions = {"jax": jax.__version__, "backbone of": str(source)}
        write_run(Path(workdir), RunRecord(setup.config, setup.vocabulary, versions), model)


def _with_backbone(model: Any, backbone: dict[str, jax.Array]) -> Any:
    def fill(name: str, leaf: Any) -> Any:
        if not name.startswith(BACKBONE):
            return leaf
        return jax.device_put(backbone[name.removeprefix(BACKBONE)].astype(leaf.dtype), leaf.sharding)

    return map_with_name(fill, model)


def _check_same(wanted: ConfigDict, found: ConfigDict, source: str) -> None:
    ours, theirs = flatten(wanted), flatten(found)
    differing = [
        f"{key} is {ours.get(key)!r} in the config and {theirs.get(key)!r} in the checkpoint"
        for key in sorted(ours.keys() | theirs.keys())
        if key not in HOW and _plain(ours.get(key)) != _plain(theirs.get(key))
    ]
    if differing:
        raise HubError(f"model.stage.backbone is not the backbone of {source}: {'; '.join(differing)}")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
