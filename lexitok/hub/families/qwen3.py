"""Qwen 3: Llama with norms of queries and keys, and a width of heads of its own."""

from typing import Any

from ml_collections import ConfigDict

from lexitok.hub.config_json import ConfigJson
from lexitok.hub.families.decoder import LLAMA_NORMS, activation_name, decoder_keys, decoder_places, read_decoder
from lexitok.hub.families.family import Family
from lexitok.hub.families.llama import llama_keys
from lexitok.hub.families.qwen2 import read_windows, window_keys


def _read(keys: ConfigJson) -> ConfigDict:
    c = read_decoder(keys, N=128)
    c.backbone.qk_norm = "rms"
    c.backbone.attention_bias = "all" if keys.flag("attention_bias", default=False) else "none"
    read_windows(keys, c)
    return c


def _write(c: ConfigDict) -> dict[str, Any]:
    bias = c.backbone.attention_bias == "all"
    return {**decoder_keys(c), **window_keys(c), "hidden_act": activation_name(c), "attention_bias": bias}


FAMILY = Family(
    name="qwen3",
    architecture="Qwen3ForCausalLM",
    model_type="qwen3",
    gguf="qwen3",
    places=decoder_places(LLAMA_NORMS),
    read=_read,
    write=_write,
    from_gguf=llama_keys,
)
