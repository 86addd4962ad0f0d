"""Qwen 2 and 2.5: Llama with biases of queries, keys and values."""

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
from lexitok.hub.families.llama import llama_keys
from lexitok.hub.families.mistral import only_plain_rotary

KINDS = {"full_attention": "global", "sliding_attention": "local"}


def read_windows(keys: ConfigJson, c: ConfigDict) -> None:
    """`layer_types`, or `max_window_layers` of old: the first so many layers see everything, where windows are used."""
    L = c.backbone.L
    used = keys.flag("use_sliding_window", default=False)
    first = keys.get("max_window_layers", 28)
    if type(first) is not int or first < 0:
        keys.refuse("max_window_layers", first, "a whole number")
    window = keys.size("sliding_window", default=4096) if used else keys.get("sliding_window") and 0
    kinds = keys.list_of("layer_types", str, L)
    if kinds is None:
        kinds = ["sliding_attention" if used and i >= first else "full_attention" for i in range(L)]
    if set(kinds) - KINDS.keys() or ("sliding_attention" in kinds and not used):
        keys.refuse("layer_types", kinds, f"made of {', '.join(KINDS)}, the latter with use_sliding_window only")
    c.backbone.layer_kinds = pattern([KINDS[kind] for kind in kinds])
    c.backbone.window = window or 0
    only_plain_rotary(keys, c)


def window_keys(c: ConfigDict) -> dict[str, Any]:
    """The same as `config.json` says them."""
    names = {ours: name for name, ours in KINDS.items()}
    kinds = [names.get(kind, kind) for kind in all_kinds(c)]
    used = "sliding_attention" in kinds
    first = kinds.index("sliding_attention") if used else c.backbone.L
    return {
        "use_sliding_window": used,
        "sliding_window": c.backbone.window if used else None,
        "max_window_layers": first,
        "layer_types": kinds,
    }


def _read(keys: ConfigJson) -> ConfigDict:
    c = read_decoder(keys)
    c.backbone.attention_bias = "qkv"
    read_windows(keys, c)
    return c


def _write(c: ConfigDict) -> dict[str, Any]:
    return {**decoder_keys(c), **window_keys(c), "hidden_act": activation_name(c)}


FAMILY = Family(
    name="qwen2",
    architecture="Qwen2ForCausalLM",
    model_type="qwen2",
    gguf="qwen2",
    places=decoder_places(LLAMA_NORMS),
    read=_read,
    write=_write,
    from_gguf=llama_keys,
)
