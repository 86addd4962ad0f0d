"""The keys of a `config.json`: each is read once, by type; those that nobody has read are found out."""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lexitok.hub.stored_tensors import HubError

log = logging.getLogger(__name__)
REQUIRED: Any = object()
# Keys that say nothing of the function that the parameters make, in every family.
NEUTRAL = frozenset({
    "_attn_implementation", "_attn_implementation_autoset", "_name_or_path", "architectures", "attention_dropout",
    "attn_implementation", "bos_token_id", "cache_implementation", "chunk_size_feed_forward", "classifier_dropout",
    "dtype", "embd_pdrop", "eos_token_id", "hidden_dropout", "id2label", "initializer_range", "label2id",
    "max_position_embeddings", "model_type", "output_attentions", "output_hidden_states", "pad_token_id",
    "pretraining_tp", "problem_type", "return_dict", "torch_dtype", "transformers_version", "unk_token_id", "use_cache",
    "vocab_file", "is_encoder_decoder", "is_decoder", "attention_probs_dropout_prob", "resid_pdrop",
})  # fmt: skip


class ConfigJson:
    """A `config.json` as a mapping, with errors that name the file and the key."""

    def __init__(self, values: Mapping[str, Any], source: str):
        """Args: the object, and what errors call it."""
        self.values, self.source = values, source
        self._read: set[str] = set()

    @staticmethod
    def load(path: Path) -> "ConfigJson":
        """Reads the file.

        Raises:
          HubError: it is missing, or no JSON object.
        """
        try:
            raw = path.read_bytes()
            values = json.loads(raw)
        except OSError as error:
            raise HubError(f"{path} cannot be read ({error}): a checkpoint's directory has a config.json") from error
        except (ValueError, RecursionError) as error:
            raise HubError(f"{path} is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise HubError(f"{path} holds a {type(values).__name__}, not an object")
        return ConfigJson(values, str(path))

    def get(self, key: str, default: Any = None) -> Any:
        """The value; null is as good as missing."""
        self._read.add(key)
        value = self.values.get(key)
        if value is None and default is REQUIRED:
            raise HubError(f"{self.source}: the key '{key}' is missing")
        return default if value is None else value

    def size(self, key: str, default: Any = REQUIRED, most: int = 2**31) -> int:
        """A whole number from 1 to `most`."""
        value = self.get(key, default)
        if type(value) is not int or not 1 <= value <= most:
            self.refuse(key, value, f"a whole number from 1 to {most}")
        return value

    def number(self, key: str, default: Any = REQUIRED) -> float:
        """A number above 0."""
        value = self.get(key, default)
        if type(value) not in (int, float) or not 0 < value < math.inf:
            self.refuse(key, value, "a number above 0")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.get(key, default)
        if type(value) is not bool:
            self.refuse(key, value, "true or false")
        return value

    def choice(self, key: str, names: Mapping[str, str], default: str) -> str:
        """What one of `names` stands for."""
        value = self.get(key, default)
        if not isinstance(value, str) or value not in names:
            self.refuse(key, value, f"one of {', '.join(names)}")
        return names[value]

    def list_of(self, key: str, kind: type, length: int) -> list[Any] | None:
        """A list of so many values, or None if there is none; what is beyond `length` is not looked at."""
        value = self.get(key)
        if value is None:
            return None
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) < length:
            self.refuse(key, value, f"a list of {length} values")
        if not all(type(v) is kind for v in value[:length]):
            self.refuse(key, value, f"a list of values of type {kind.__name__}")
        return list(value[:length])

    def must_be(self, key: str, wanted: Any, why: str) -> None:
        """Refuses any other value; a missing key is fine."""
        value = self.get(key, wanted)
        if value != wanted:
            raise HubError(f"{self.source}: '{key}' is {value!r:.200}, and lexitok reads only {wanted!r}: {why}")

    def refuse(self, key: str, value: Any, wanted: str) -> None:
        """Raises: the value of `key` is not what it can be."""
        raise HubError(f"{self.source}: '{key}' is {value!r:.200}; it has to be {wanted}")

    def unread(self) -> list[str]:
        """Keys that nobody asked for, and that may mean something."""
        said = (key for key, value in self.values.items() if value is not None and value is not False)
        return sorted(key for key in said if key not in self._read | NEUTRAL)

    def warn_of_unread(self) -> None:
        """Names keys that this family does not have: its published model does not read them either."""
        if self.unread():
            log.warning("%s: not known, and left aside: %s", self.source, ", ".join(self.unread()))
