"""Gemma 2: norms on both sides of a sublayer, windows in every other layer, soft-capped scores and logits."""

import math
from typing import Any

from ml_collections import ConfigDict

from lexitok.hub.config_json import ConfigJson
from lexitok.hub.families.decoder import (
    GEMMA_NORMS,
    activation_name,
    all_kinds,
    decoder_keys,
    decoder_places,
    pattern,
    read_decoder,
)
from lexitok.hub.families.family import Family
from lexitok.hub.families.mistral import only_plain_rotary
from lexitok.hub.families.qwen2 import KINDS
from lexitok.hub.gguf_metadata import GgufMetadata
from lexitok.hub.rotary import Rotary

_LAYERS_27B = 46


def read_gemma(keys: ConfigJson, *, rotary: Rotary | None, softcaps: tuple[float, float], period: int) -> ConfigDict:
    """What Gemma 2 and 3 share.

    Args:
      keys: of `config.json`.
      rotary: rotary positions of layers without a window; None: those of all layers, as the file has them.
      softcaps: of scores and of logits where the file says nothing; 0: none.
      period: where the file says nothing, every so many layers one has no window.
    """
    c = read_decoder(
        keys, rotary=rotary, tied=True, N=256, activation_key="hidden_activation", activation="gelu_pytorch_tanh"
    )
    b = c.backbone
    b.norm_scale, b.post_norms = "offset", "rms"
    b.attention_bias = "all" if keys.flag("attention_bias", default=False) else "none"
    b.query_scale = keys.number("query_pre_attn_scalar", default=256) ** -0.5
    b.softcap = _softcap(keys, "attn_logit_softcapping", softcaps[0])
    c.interface.softcap = _softcap(keys, "final_logit_softcapping", softcaps[1])
    c.interface.embed_scale = math.sqrt(b.D)
    kinds = keys.list_of("layer_types", str, b.L)
    if kinds is None:
        kinds = ["full_attention" if (i + 1) % period == 0 else "sliding_attention" for i in range(b.L)]
    if set(kinds) - KINDS.keys():
        keys.refuse("layer_types", kinds, f"made of {', '.join(KINDS)}")
    b.layer_kinds = pattern([KINDS[kind] for kind in kinds])
    b.window = keys.size("sliding_window", default=4096)
    keys.must_be("use_bidirectional_attention", False, "its models look ahead")
    keys.get("hidden_act")  # in old files; without effect
    return c


def gemma_keys(c: ConfigDict) -> dict[str, Any]:
    """The same as `config.json` says it."""
    names = {ours: name for name, ours in KINDS.items()}
    scalar = c.backbone.query_scale**-2 if c.backbone.query_scale else float(c.backbone.N)
    return {
        **decoder_keys(c),
        "hidden_activation": activation_name(c),
        "attention_bias": c.backbone.attention_bias == "all",
        "query_pre_attn_scalar": round(scalar) if math.isclose(scalar, round(scalar), rel_tol=1e-6) else scalar,
        "attn_logit_softcapping": c.backbone.softcap or None,
        "final_logit_softcapping": c.interface.softcap or None,
        "layer_types": [names.get(kind, kind) for kind in all_kinds(c)],
        "sliding_window": c.backbone.window or 4096,
    }


def gemma_gguf_keys(gguf: GgufMetadata, layers_27b: int) -> dict[str, Any]:
    """Keys from a GGUF. It lacks the scale of queries: that of the heads' width, but in the largest model."""
    keys = gguf.common()
    largest = keys["num_hidden_layers"] == layers_27b
    scalar = keys["hidden_size"] // keys["num_attention_heads"] if largest else keys["head_dim"]
    return {
        **keys,
        **gguf.rotary(keys["head_dim"]),
        "query_pre_attn_scalar": scalar,
        "sliding_window": gguf.number("attention.sliding_window"),
    }


def _softcap(keys: ConfigJson, key: str, default: float) -> float:
    if keys.get(key) is None:  # null is none, a missing key the family's own
        return 0.0 if key in keys.values else default
    return keys.number(key)


def _read(keys: ConfigJson) -> ConfigDict:
    c = read_gemma(keys, rotary=None, softcaps=(50.0, 30.0), period=2)
    only_plain_rotary(keys, c)
    return c


def _from_gguf(gguf: GgufMetadata) -> dict[str, Any]:
    caps = {
        "attn_logit_softcapping": gguf.number("attn_logit_softcapping", 50.0),
        "final_logit_softcapping": gguf.number("final_logit_softcapping", 30.0),
    }
    return {**gemma_gguf_keys(gguf, _LAYERS_27B), **caps}


FAMILY = Family(
    name="gemma2",
    architecture="Gemma2ForCausalLM",
    model_type="gemma2",
    gguf="gemma2",
    places=decoder_places(GEMMA_NORMS, gguf_less=1.0),
    read=_read,
    write=gemma_keys,
    from_gguf=_from_gguf,
)
