"""Families of pretrained models, by name. A new one is a file and a line here."""

from lexitok.hub.config_json import ConfigJson
from lexitok.hub.families import gemma2, gemma3, gpt_neox, llama, mistral, qwen2, qwen3, smollm3
from lexitok.hub.families.family import Family
from lexitok.hub.stored_tensors import HubError

# Where a model could be written as several of them, the first is taken.
FAMILIES = {
    module.FAMILY.name: module.FAMILY for module in (llama, mistral, qwen2, qwen3, gemma2, gemma3, smollm3, gpt_neox)
}


def family_of_keys(keys: ConfigJson) -> Family:
    """The family that a `config.json` is of.

    Raises:
      HubError: an unknown architecture; lists those that are known.
    """
    named = keys.get("architectures", [])
    first = named[0] if isinstance(named, list) and named else None
    kind = keys.get("model_type")
    for family in FAMILIES.values():
        if family.architecture == first or (first is None and family.model_type == kind):
            return family
    known = ", ".join(f"{family.architecture} ({family.name})" for family in FAMILIES.values())
    raise HubError(f"{keys.source}: unknown architecture {first or kind!r}; known are {known}")


def family_of_gguf(architecture: str, source: str) -> Family:
    """The family that a GGUF's architecture is.

    Raises:
      HubError: it is unknown; lists those that are known.
    """
    for family in FAMILIES.values():
        if family.gguf and family.gguf == architecture:
            return family
    known = ", ".join(f"{family.gguf} ({family.name})" for family in FAMILIES.values() if family.gguf)
    raise HubError(f"{source}: unknown architecture '{architecture:.100}'; known are {known}")
