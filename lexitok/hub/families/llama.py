"""Llama 3 (3.1 and 3.2 rescale rotary positions), and what else has its architecture: Llama 2, SmolLM 1 and 2."""

from typing import Any

from ml_collections import ConfigDict

from lexitok.hub.config_json import ConfigJson
from lexitok.hub.families.decoder import LLAMA_NORMS, activation_name, decoder_keys, decoder_places, read_decoder
from lexitok.hub.families.family import Family
from lexitok.hub.gguf_metadata import GgufMetadata
from lexitok.hub.stored_tensors import HubError


def read_biases(keys: ConfigJson, c: ConfigDict) -> None:
    """`attention_bias` and `mlp_bias`, which are about all projections of a sublayer."""
    c.backbone.attention_bias = "all" if keys.flag("attention_bias", default=False) else "none"
    c.backbone.feed_forward_bias = "learned" if keys.flag("mlp_bias", default=False) else "none"


def bias_keys(c: ConfigDict) -> dict[str, Any]:
    """The same as `config.json` says them."""
    return {
        "attention_bias": c.backbone.attention_bias == "all",
        "mlp_bias": c.backbone.feed_forward_bias == "learned",
    }


def llama_keys(gguf: GgufMetadata) -> dict[str, Any]:
    """The keys of a model that is built like Llama.

    Raises:
      HubError: it is a mixture of experts.
    """
    keys = gguf.common()
    if gguf.get("expert_count", 0) or gguf.get("expert_used_count", 0):
        raise HubError(f"{gguf.file.path} is a mixture of experts, which lexitok has not")
    return {**keys, **gguf.rotary(keys["head_dim"])}


def _read(keys: ConfigJson) -> ConfigDict:
    c = read_decoder(keys)
    read_biases(keys, c)
    return c


def _write(c: ConfigDict) -> dict[str, Any]:
    return {**decoder_keys(c), **bias_keys(c), "hidden_act": activation_name(c)}


FAMILY = Family(
    name="llama",
    architecture="LlamaForCausalLM",
    model_type="llama",
    gguf="llama",
    places=decoder_places(LLAMA_NORMS, gguf_rotary="pairs"),
    read=_read,
    write=_write,
    from_gguf=llama_keys,
)
