"""`save`: a token model as a directory in Hugging Face's layout, which `transformers` loads."""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from lexitok.config.files import flatten
from lexitok.hub.axis_layouts import FLOATS
from lexitok.hub.config_json import ConfigJson
from lexitok.hub.description import CONFIG, model_sizes
from lexitok.hub.families import FAMILIES
from lexitok.hub.families.decoder import all_kinds
from lexitok.hub.families.family import Family
from lexitok.hub.load import described, fitted, tokenizer_of
from lexitok.hub.model_settings import ModelSettings, settings_of
from lexitok.hub.places import Place
from lexitok.hub.safetensors_writer import Written, write_tensors
from lexitok.hub.stored_tensors import HubError
from lexitok.hub.tokenizer_out import has_tokenizer, write_tokenizer
from lexitok.models.build import with_table
from lexitok.parameter_names import names, to_dicts
from lexitok.text.vocabulary import Tokenizer

KEPT = ("bos_token_id", "eos_token_id", "pad_token_id", "max_position_embeddings", "initializer_range")
# Settings that say how and not what is computed, or that the family says otherwise.
_HOW = ("remat", "attention", "compute_dtype", "layer_kinds", "mixer", "kind")


def save(
    model: Any,
    config: ConfigDict,
    path: str | Path,
    *,
    tokenizer: Tokenizer | None = None,
    files_of: str | Path | None = None,
    dtype: str = "float32",
    family: str | None = None,
    shard_gb: float = 5.0,
) -> str:
    """Writes a model, its settings and its tokenizer, all or nothing. What was written is read again before it counts.

    Args:
      model: a `TokenLM`, wherever its parameters are. What is written follows it, not its config: a table that was
        exchanged for another is written as it is, and rows that a hypernetwork makes as it makes them.
      config: the whole tree that it was made by; it says where the model came from.
      path: of the new directory; there must be nothing yet.
      tokenizer: to be written with it; None: none.
      files_of: a directory whose tokenizer files are copied as they are; only what it lacks is written.
      dtype: `float32`, `bfloat16`, `float16`.
      family: that it is to be written as; None: what it came from, or the first that can say what it is.
      shard_gb: size of a file, in units of 10^9 bytes, at most.

    Returns:
      The name of the family.

    Raises:
      HubError: no family can say what the model computes (says what they cannot), it is no token model, has a part that
        no settings make, its tokenizer does not fit its table, there is something at `path`, or a value is not finite
        or too large for the dtype.
    """
    path = Path(path)
    if dtype not in FLOATS:
        raise HubError(f"unknown dtype '{dtype}'; there are {', '.join(FLOATS)}")
    if path.exists():
        raise HubError(f"there is something at {path} already; name a directory that does not exist")
    model = with_table(model)
    settings = settings_of(model, config)
    if tokenizer is not None:
        tokenizer = fitted(tokenizer, settings.V, "the model to be written")
    chosen, keys = choose_family(_with_model(config, settings.model), settings.V, family)
    keys |= _kept(config, tokenizer) | {"dtype": dtype, "torch_dtype": dtype}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.partial", dir=path.parent))
    try:
        partial.chmod(0o755)
        (partial / CONFIG).write_text(json.dumps(keys, indent=2) + "\n")
        sizes = model_sizes(settings.model, settings.V)
        write_tensors(partial, tensors_to_write(names(to_dicts(model)), chosen, sizes, dtype), int(shard_gb * 1e9))
        write_tokenizer(partial, tokenizer, None if files_of is None else Path(files_of))
        copied = files_of is not None and has_tokenizer(Path(files_of))
        _check_written(partial, settings, tokenizer if copied else None)
        os.rename(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return chosen.name


def choose_family(config: ConfigDict, V: int, name: str | None = None) -> tuple[Family, dict[str, Any]]:
    """The family that can say what a model computes, and its `config.json`.

    Args:
      config: the whole tree.
      V: rows of the table.
      name: of the family; None: see `save`.

    Raises:
      HubError: there is none, or not the one that is named; says what it lacks.
    """
    if name is not None and name not in FAMILIES:
        raise HubError(f"unknown family '{name}'; there are {', '.join(FAMILIES)}")
    origin = config.get("pretrained", {}).get("family")
    first = [origin] if origin in FAMILIES else []
    lacking = {}
    for candidate in [name] if name else [*first, *FAMILIES]:
        family = FAMILIES[candidate]
        try:
            keys, lacking[candidate] = _said_by(family, config.model, V)
        except (HubError, KeyError) as error:
            lacking[candidate] = [str(error)]
            continue
        if not lacking[candidate]:
            return family, keys
    best = min(lacking, key=lambda family: len(lacking[family]))
    raise HubError(
        f"the model cannot be written as one of {', '.join(lacking)}. It comes closest to {best}, which has no "
        f"{'; '.join(lacking[best][:5])}"
    )


def tensors_to_write(
    parameters: Mapping[str, Any], family: Family, sizes: Mapping[str, int], dtype: str
) -> list[Written]:
    """The tensors of a model's parameters, by dotted name, as the family has them; layer by layer."""
    by_tensor: dict[str, list[Place]] = {}
    for place in family.places:
        if place.parameter in parameters:
            by_tensor.setdefault(place.name, []).append(place)
    left = parameters.keys() - {place.parameter for places in by_tensor.values() for place in places}
    if left:
        raise HubError(f"the family {family.name} has no tensor for the parameter '{min(left)}'")

    def written(name: str, places: list[Place], layer: int | None) -> Written:
        ordered = sorted(places, key=lambda place: place.layout.part)

        def make() -> np.ndarray:
            arrays = [_on_host(parameters[place.parameter], layer) for place in ordered]
            return _as(ordered[0].layout.restore(arrays, sizes), dtype, name)

        return Written(name, ordered[0].layout.file_shape(sizes), dtype, make)

    once = [written(name, places, None) for name, places in by_tensor.items() if not places[0].stacked]
    stacked = [item for item in by_tensor.items() if item[1][0].stacked]
    return once + [written(name.format(i=i), p, i) for i in range(sizes["L"]) for name, p in stacked]


def meaning(model: ConfigDict) -> dict[str, Any]:
    """What a `token_lm` section computes, in one form: sections with equal meanings are the same function."""
    out = {key: value for key, value in flatten(model).items() if key.split(".")[-1] not in _HOW}
    b, kinds = model.backbone, all_kinds(model)
    out["kinds of layers"] = tuple(kinds)
    out["backbone.query_scale"] = b.query_scale or b.N**-0.5
    out["mixer"] = b.mixer
    if "local" not in kinds:
        out["backbone.window"] = out["backbone.rope_base_local"] = None
    if "global" not in kinds:
        out["backbone.rope_base"] = out["backbone.rope_scale"] = out["backbone.rope_llama3"] = None
    if b.norm_bias == "none" or b.pre_norms == b.final_norm == "rms":
        out["backbone.norm_bias"] = None
    if b.pre_norms == b.final_norm == "layer" and b.post_norms == b.qk_norm == "none":
        out["backbone.norm_scale"] = None
    return out


def _said_by(family: Family, model: ConfigDict, V: int) -> tuple[dict[str, Any], list[str]]:
    keys = {"architectures": [family.architecture], "model_type": family.model_type, **family.write(model)}
    keys["vocab_size"] = V
    ours, theirs = meaning(model), meaning(family.read(ConfigJson(keys, family.name)))
    differing = [k for k in dict.fromkeys([*ours, *theirs]) if not _alike(ours.get(k), theirs.get(k))]
    return keys, [f"{key} {ours.get(key)!r} (but {theirs.get(key)!r})" for key in differing]


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-6)
    return a == b


def _with_model(config: ConfigDict, model: ConfigDict) -> ConfigDict:
    out = config.copy_and_resolve_references().unlock()
    del out["model"]
    out.model = model
    return out


def _check_written(path: Path, settings: ModelSettings, tokenizer: Tokenizer | None) -> None:
    """Reads what was written: names, shapes and settings have to be the model's, copied files its tokenizer's."""
    _, description = described(path)
    ours, theirs = meaning(settings.model), meaning(description.model)
    differing = [key for key in dict.fromkeys([*ours, *theirs]) if not _alike(ours.get(key), theirs.get(key))]
    if differing or description.V != settings.V:
        said = "; ".join(f"{key} {ours.get(key)!r} is read as {theirs.get(key)!r}" for key in differing)
        raise HubError(f"what was written is another model: {said or f'V {settings.V} is read as {description.V}'}")
    if tokenizer is None:
        return
    copied = tokenizer_of(path, description)
    if copied is not None and copied.vocabulary.fingerprint != tokenizer.vocabulary.fingerprint:
        raise HubError(
            "the tokenizer files that were to be copied are of another tokenizer than the model's: leave files_of out"
        )


def _kept(config: ConfigDict, tokenizer: Tokenizer | None) -> dict[str, Any]:
    """Keys beside the function: those that the model came with, or else what its tokenizer and its rows say."""
    origin = json.loads(config.get("pretrained", {}).get("config_json", "{}"))
    vocabulary = None if tokenizer is None else tokenizer.vocabulary
    said = {
        "bos_token_id": None if vocabulary is None else vocabulary.bos,
        "eos_token_id": None if vocabulary is None else vocabulary.eot,
        "pad_token_id": None,
        "max_position_embeddings": config.data.symbols,
        "use_cache": True,
    }
    return said | {key: origin[key] for key in KEPT if origin.get(key) is not None}


def _on_host(parameter: Any, layer: int | None) -> np.ndarray:
    if isinstance(parameter, jax.Array) and not parameter.is_fully_addressable:
        raise HubError("the model is spread over several processes: write it from one that holds all of it")
    return np.asarray(parameter if layer is None else parameter[layer])


def _as(values: np.ndarray, dtype: str, name: str) -> np.ndarray:
    with np.errstate(over="ignore"):  # found out below
        out = values.astype(FLOATS[dtype], copy=False)
    if not np.isfinite(out).all():
        if np.isfinite(values).all():
            raise HubError(f"'{name}' has values that {dtype} cannot hold; use bfloat16 or float32")
        raise HubError(f"'{name}' has values that are not finite: what was trained has broken")
    return out
