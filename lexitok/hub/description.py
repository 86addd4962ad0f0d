"""What a checkpoint is of: its family, settings and files, before anything is read of its tensors."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from flax import nnx
from ml_collections import ConfigDict, FrozenConfigDict

from lexitok.config import default_config
from lexitok.hub.axis_layouts import sizes_of
from lexitok.hub.config_json import ConfigJson
from lexitok.hub.families import family_of_gguf, family_of_keys
from lexitok.hub.families.family import Family
from lexitok.hub.gguf_files import GgufFile
from lexitok.hub.gguf_metadata import GgufMetadata
from lexitok.hub.places import FilePlace, in_gguf, in_safetensors
from lexitok.hub.safetensors_files import SafetensorsFiles, inside
from lexitok.hub.stored_tensors import HubError, StoredTensors
from lexitok.models.token_lm import TokenLM
from lexitok.nn.dtypes import compute_dtype

CONFIG = "config.json"
LONGEST_ROW = 1024  # symbols of a row that a converted run is evaluated with, unless its model has seen fewer


@dataclasses.dataclass(frozen=True)
class Description:
    """A checkpoint that was found to be one of a known family.

    Attributes:
      source: what errors call it.
      family: of its model.
      model: the `config.token_lm` section.
      V: rows of its table.
      keys: its `config.json`, or what it would be.
      files: its tensors.
      places: of the model's parameters in them.
    """

    source: str
    family: Family
    model: ConfigDict
    V: int
    keys: dict[str, Any]
    files: StoredTensors
    places: Mapping[str, FilePlace]

    @property
    def sizes(self) -> dict[str, int]:
        """Of all axes."""
        return model_sizes(self.model, self.V)

    def config(self) -> ConfigDict:
        """The whole tree: the model, its tokens as text, and in `pretrained` where it came from."""
        c = default_config()
        with c.unlocked():
            c.name = f"{self.family.name}-{Path(self.source).name.removesuffix('.gguf') or 'checkpoint'}"
            c.model = self.model
            c.text.kind = "subword"
            c.pretrained = ConfigDict({"family": self.family.name, "config_json": json.dumps(self.keys)})
            context = self.keys.get("max_position_embeddings")
            c.data.symbols = min(LONGEST_ROW, context) if type(context) is int and context > 1 else LONGEST_ROW
            c.data.rows = jax.device_count()
        return c.lock()


def describe(path: Path) -> Description:
    """What is at `path`: a directory in Hugging Face's layout, or a GGUF.

    Raises:
      HubError: neither, or one that lexitok cannot run; says why.
    """
    if path.is_dir():
        keys = ConfigJson.load(inside(path, CONFIG))
        family = family_of_keys(keys)
        return _described(str(path), family, keys, SafetensorsFiles(path), in_safetensors)
    if not path.is_file():
        raise HubError(f"there is no checkpoint at {path}: name a directory with a {CONFIG}, a GGUF, or hf:OWNER/NAME")
    gguf = GgufFile(path)
    metadata = GgufMetadata(gguf)
    family = family_of_gguf(metadata.architecture, str(path))
    try:
        values = family.from_gguf(metadata)
    except (TypeError, ZeroDivisionError) as error:
        raise HubError(f"{path}: its metadata do not describe a model: {error}") from error
    metadata.done()
    values |= {"architectures": [family.architecture], "model_type": family.model_type}
    return _described(str(path), family, ConfigJson(values, str(path)), gguf, in_gguf)


def _described(source: str, family: Family, keys: ConfigJson, files: StoredTensors, found: Any) -> Description:
    model = family.read(keys)
    V = keys.size("vocab_size")
    keys.warn_of_unread()
    places = {place.parameter: found(place) for place in family.places}
    return Description(source, family, model, V, dict(keys.values), files, places)


def model_sizes(model: ConfigDict, V: int) -> dict[str, int]:
    """The axes of a `token_lm` section."""
    return sizes_of({"V": V, **{axis: model.backbone[axis] for axis in "DLHKNF"}})


def abstract_model(model: ConfigDict, V: int, source: str) -> TokenLM:
    """The model as shapes; nothing is allocated.

    Raises:
      HubError: the settings do not go together.
    """
    c, key = FrozenConfigDict(model), jax.eval_shape(lambda: jax.random.key(0))
    dtype = compute_dtype(c.compute_dtype)
    try:
        return jax.eval_shape(lambda key: TokenLM(c, V, dtype=dtype, rngs=nnx.Rngs(params=key)), key)
    except ValueError as error:
        raise HubError(f"{source}: {error}") from error
