"""Mistral: Llama with a window in every layer, in the first model, and without one in the later ones."""

from typing import Any

from ml_collections import ConfigDict

from lexitok.hub.config_json import ConfigJson
from lexitok.hub.families.decoder import (
    LLAMA_NORMS,
    activation_name,
    all_kinds,
    decoder_keys,
    decoder_places,
    read_decoder,
)
from lexitok.hub.families.family import Family
from lexitok.hub.families.llama import llama_keys
from lexitok.hub.stored_tensors import HubError


def only_plain_rotary(keys: ConfigJson, c: ConfigDict) -> None:
    """Raises a `HubError` where layers with a window are to have rescaled rotary positions too."""
    if "local" in c.backbone.layer_kinds and (c.backbone.rope_scale != 1.0 or c.backbone.rope_llama3):
        raise HubError(f"{keys.source}: rotary positions are rescaled in layers with a window, which lexitok has not")


def _read(keys: ConfigJson) -> ConfigDict:
    c = read_decoder(keys)
    if "sliding_window" not in keys.values:
        keys.get("sliding_window")
        c.backbone.layer_kinds, c.backbone.window = ("local",), 4096  # what a missing key means; null is no window
    elif keys.get("sliding_window") is not None:
        c.backbone.layer_kinds, c.backbone.window = ("local",), keys.size("sliding_window")
    only_plain_rotary(keys, c)
    keys.must_be("layer_types", None, "the published models have one kind of layers")
    return c


def _write(c: ConfigDict) -> dict[str, Any]:
    window = c.backbone.window if set(all_kinds(c)) == {"local"} else None
    keys = {**decoder_keys(c), "hidden_act": activation_name(c), "sliding_window": window}
    return keys if window is None else {**keys, "rope_theta": c.backbone.rope_base_local}


FAMILY = Family(
    name="mistral",
    architecture="MistralForCausalLM",
    model_type="mistral",
    gguf="",  # in a GGUF it is of the architecture `llama`
    places=decoder_places(LLAMA_NORMS, gguf_rotary="pairs"),
    read=_read,
    write=_write,
    from_gguf=llama_keys,
)
