"""What lexitok has to know of a family of pretrained models."""

import dataclasses
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from lexitok.hub.config_json import ConfigJson
from lexitok.hub.gguf_metadata import GgufMetadata
from lexitok.hub.places import Place


@dataclasses.dataclass(frozen=True)
class Family:
    """A family of models that differ by the numbers in their `config.json`.

    Attributes:
      name: ours.
      architecture: the class that `config.json` names.
      model_type: the same there, in one word.
      gguf: the architecture in a GGUF; empty: those are not read.
      places: where each parameter lies.
      read: a `config.token_lm` section from the keys; raises `HubError` for what lexitok cannot do.
      write: the keys that say the function, from such a section; what it cannot say is found out by reading it again.
      from_gguf: the keys from the metadata of a GGUF.
      left_aside: patterns of tensors' names that follow from the settings and need not be read.
    """

    name: str
    architecture: str
    model_type: str
    gguf: str
    places: tuple[Place, ...]
    read: Callable[[ConfigJson], ConfigDict]
    write: Callable[[ConfigDict], dict[str, Any]]
    from_gguf: Callable[[GgufMetadata], dict[str, Any]]
    left_aside: tuple[str, ...] = (r"\.rotary_emb\.inv_freq$", r"^rope_freqs\.weight$")
