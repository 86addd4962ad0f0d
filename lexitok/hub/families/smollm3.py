"""SmolLM 3: Llama with layers that know no positions. (SmolLM 1 and 2 are of Llama's own architecture.)"""

from typing import Any

from ml_collections import ConfigDict

from lexitok.hub.config_json import ConfigJson
from lexitok.hub.families.decoder import (
    LLAMA_NORMS,
    activation_name,
    all_kinds,
    decoder_keys,
    decoder_places,
    pattern,
    read_decoder,
)
from lexitok.hub.families.family import Family
from lexitok.hub.families.llama import bias_keys, llama_keys, read_biases
from lexitok.hub.gguf_metadata import GgufMetadata

_INTERVAL = 4  # every fourth layer knows no positions where the file does not say which


def _read(keys: ConfigJson) -> ConfigDict:
    c = read_decoder(keys, tied=True, theta=2_000_000.0)
    read_biases(keys, c)
    L = c.backbone.L
    interval = keys.size("no_rope_layer_interval", default=_INTERVAL)
    rotated = keys.list_of("no_rope_layers", int, L) or [int((i + 1) % interval != 0) for i in range(L)]
    if not set(rotated) <= {0, 1}:
        keys.refuse("no_rope_layers", rotated, "a list of ones (rotated) and zeros")
    c.backbone.layer_kinds = pattern(["global" if on else "unrotated" for on in rotated])
    keys.must_be("use_sliding_window", False, "no published model has windows")
    keys.get("sliding_window")  # without effect then
    kinds = keys.list_of("layer_types", str, L) or []
    if set(kinds) - {"full_attention"}:
        keys.refuse("layer_types", kinds, "'full_attention' for every layer")
    return c


def _write(c: ConfigDict) -> dict[str, Any]:
    return {
        **decoder_keys(c),
        **bias_keys(c),
        "hidden_act": activation_name(c),
        "no_rope_layers": [int(kind == "global") for kind in all_kinds(c)],
        "use_sliding_window": False,
    }


def _from_gguf(gguf: GgufMetadata) -> dict[str, Any]:
    return {**llama_keys(gguf), "no_rope_layer_interval": _INTERVAL}  # the metadata have no word for it


FAMILY = Family(
    name="smollm3",
    architecture="SmolLM3ForCausalLM",
    model_type="smollm3",
    gguf="smollm3",
    places=decoder_places(LLAMA_NORMS, gguf_rotary="pairs"),
    read=_read,
    write=_write,
    from_gguf=_from_gguf,
)
