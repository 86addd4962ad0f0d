"""GPT-NeoX and Pythia: layer norms and maps with biases, parallel sublayers, a part of each head is rotated.

Queries, keys and values are one tensor: head after head in Hugging Face's layout, one after the other in a GGUF.
"""

from typing import Any

from ml_collections import ConfigDict

from lexitok.config import token_lm
from lexitok.hub.axis_layouts import Layout
from lexitok.hub.config_json import ConfigJson
from lexitok.hub.families.decoder import ACTIVATIONS, activation_name
from lexitok.hub.families.family import Family
from lexitok.hub.gguf_metadata import GgufMetadata
from lexitok.hub.places import Place
from lexitok.hub.rotary import Rotary, mapping, rotary_of, scaling_of
from lexitok.hub.stored_tensors import HubError

_LAYER, _BLOCK = "gpt_neox.layers.{i}", "blk.{i}"
_TABLE, _VECTOR = Layout("V D", "V D"), Layout("D", "D")


def _pair(ours: str, name: str, gguf: str) -> list[Place]:
    return [
        Place(f"{ours}.scale", f"{name}.weight", _VECTOR, f"{gguf}.weight"),
        Place(f"{ours}.bias", f"{name}.bias", _VECTOR, f"{gguf}.bias"),
    ]


def _fused(part: int) -> list[Place]:
    ours = f"backbone.layers.mixer.{{}}{'qkv'[part]}"
    name, gguf = f"{_LAYER}.attention.query_key_value", f"{_BLOCK}.attn_qkv"
    weight = Layout("(H part N) D", "D H N", part), Layout("(part H N) D", "D H N", part)
    bias = Layout("(H part N)", "H N", part), Layout("(part H N)", "H N", part)
    return [
        Place(ours.format("w"), f"{name}.weight", weight[0], f"{gguf}.weight", weight[1]),
        Place(ours.format("") + "_bias.bias", f"{name}.bias", bias[0], f"{gguf}.bias", bias[1]),
    ]


def _map(ours: str, bias: str, name: str, gguf: str, layout: Layout, axis: str) -> list[Place]:
    prefix = "backbone.layers."
    return [
        Place(prefix + ours, f"{_LAYER}.{name}.weight", layout, f"{_BLOCK}.{gguf}.weight"),
        Place(f"{prefix}{bias}.bias", f"{_LAYER}.{name}.bias", Layout(axis, axis), f"{_BLOCK}.{gguf}.bias"),
    ]


PLACES = (
    Place("interface.table", "gpt_neox.embed_in.weight", _TABLE, "token_embd.weight"),
    Place("interface.head", "embed_out.weight", _TABLE, "output.weight"),
    *_pair("backbone.norm", "gpt_neox.final_layer_norm", "output_norm"),
    *_pair("backbone.layers.mixer_norm", f"{_LAYER}.input_layernorm", f"{_BLOCK}.attn_norm"),
    *_pair("backbone.layers.feed_forward_norm", f"{_LAYER}.post_attention_layernorm", f"{_BLOCK}.ffn_norm"),
    *(place for part in range(3) for place in _fused(part)),
    *_map("mixer.wo", "mixer.o_bias", "attention.dense", "attn_output", Layout("D (H N)", "H N D"), "D"),
    *_map("feed_forward.up", "feed_forward.up_bias", "mlp.dense_h_to_4h", "ffn_up", Layout("F D", "D F"), "F"),
    *_map("feed_forward.down", "feed_forward.down_bias", "mlp.dense_4h_to_h", "ffn_down", Layout("D F", "F D"), "D"),
)


def _read(keys: ConfigJson) -> ConfigDict:
    c = token_lm()
    b = c.backbone
    b.D, b.L = keys.size("hidden_size"), keys.size("num_hidden_layers", most=10_000)
    b.H = b.K = keys.size("num_attention_heads")
    b.N, b.F = max(1, b.D // b.H), keys.size("intermediate_size")
    b.norm_eps = keys.number("layer_norm_eps", default=1e-5)
    b.activation = keys.choice("hidden_act", ACTIVATIONS, default="gelu")
    b.pre_norms = b.final_norm = "layer"
    b.norm_bias = b.feed_forward_bias = "learned"
    b.feed_forward = "plain"
    b.attention_bias = "all" if keys.flag("attention_bias", default=True) else "none"
    b.residual = "parallel" if keys.flag("use_parallel_residual", default=True) else "serial"
    rotary, b.rope_fraction = _rotary(keys, b.N)
    b.rope_base, b.rope_scale, b.rope_llama3 = rotary.base, rotary.scale, rotary.llama3
    c.interface.tied = "yes" if keys.flag("tie_word_embeddings", default=False) else "no"
    keys.must_be("quantization_config", None, "quantised safetensors are not read; use the original")
    return c


def _rotary(keys: ConfigJson, N: int) -> tuple[Rotary, float]:
    """Rotary positions, and the fraction of a head that they are of; it has to be a whole number of pairs."""
    given = mapping(keys, "rope_parameters")
    old = {"rope_theta": keys.get("rotary_emb_base", keys.get("rope_theta", 10_000.0)), **mapping(keys, "rope_scaling")}
    given = given or old
    given.setdefault("partial_rotary_factor", keys.get("rotary_pct", 0.25))
    fraction = given.pop("partial_rotary_factor")
    if type(fraction) not in (int, float) or not 0 < fraction <= 1 or int(N * fraction) % 2 or int(N * fraction) < 2:
        raise HubError(f"{keys.source}: {fraction!r:.50} of a head's width of {N} cannot be rotated in pairs")
    return rotary_of(keys, given, 10_000.0), float(fraction)


def _write(c: ConfigDict) -> dict[str, Any]:
    b = c.backbone
    return {
        "hidden_size": b.D,
        "num_hidden_layers": b.L,
        "num_attention_heads": b.H,
        "intermediate_size": b.F,
        "layer_norm_eps": b.norm_eps,
        "hidden_act": activation_name(c),
        "attention_bias": b.attention_bias == "all",
        "use_parallel_residual": b.residual == "parallel",
        "rotary_pct": b.rope_fraction,
        "rotary_emb_base": b.rope_base,
        "rope_scaling": scaling_of(Rotary(b.rope_base, b.rope_scale, tuple(b.rope_llama3))),
        "tie_word_embeddings": c.interface.tied == "yes",
    }


def _from_gguf(gguf: GgufMetadata) -> dict[str, Any]:
    keys = gguf.common()
    N = keys["hidden_size"] // max(1, keys["num_attention_heads"])
    elsewhere = ("head_dim", "num_key_value_heads", "mlp_bias")  # it has no such keys
    return {
        **{key: value for key, value in keys.items() if key not in elsewhere},
        "layer_norm_eps": gguf.number("attention.layer_norm_epsilon", 1e-5),
        "use_parallel_residual": bool(gguf.get("use_parallel_residual", True)),
        "rotary_pct": gguf.number("rope.dimension_count", N) / N,
        "rotary_emb_base": float(gguf.number("rope.freq_base", 10_000.0)),
    }


FAMILY = Family(
    name="gpt_neox",
    architecture="GPTNeoXForCausalLM",
    model_type="gpt_neox",
    gguf="gptneox",
    places=PLACES,
    read=_read,
    write=_write,
    from_gguf=_from_gguf,
    left_aside=(r"\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$",),
)
