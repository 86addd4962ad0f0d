"""Gemma 3, the text models: norms of queries and keys, five layers with a window to one without, two rotary bases."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from lexitok.hub.config_json import ConfigJson
from lexitok.hub.families.decoder import GEMMA_NORMS, decoder_places
from lexitok.hub.families.family import Family
from lexitok.hub.families.gemma2 import gemma_gguf_keys, gemma_keys, read_gemma
from lexitok.hub.gguf_metadata import GgufMetadata
from lexitok.hub.rotary import Rotary, mapping, rotary_of
from lexitok.hub.stored_tensors import HubError

_GLOBAL, _LOCAL = 1_000_000.0, 10_000.0  # rotary bases
_PERIOD = 6
_LAYERS_27B = 62


def _read(keys: ConfigJson) -> ConfigDict:
    far, near = _rotary(keys)
    if near.scale != 1.0 or near.llama3:
        raise HubError(f"{keys.source}: rotary positions are rescaled in layers with a window, which lexitok has not")
    period = keys.size("sliding_window_pattern", default=keys.size("_sliding_window_pattern", default=_PERIOD))
    c = read_gemma(keys, rotary=far, softcaps=(0.0, 0.0), period=period)
    c.backbone.rope_base_local = near.base
    c.backbone.qk_norm = "rms"
    return c


def _rotary(keys: ConfigJson) -> tuple[Rotary, Rotary]:
    """Rotary positions of layers without and with a window."""
    given = mapping(keys, "rope_parameters")
    if given:
        parts = [given.get(name) or {} for name in ("full_attention", "sliding_attention")]
        if not all(isinstance(part, Mapping) for part in parts) or given.keys() - {
            "full_attention",
            "sliding_attention",
        }:
            keys.refuse("rope_parameters", given, "an object for full_attention and one for sliding_attention")
        return rotary_of(keys, parts[0], _GLOBAL), rotary_of(keys, parts[1], _LOCAL)
    far = {**mapping(keys, "rope_scaling"), "rope_theta": keys.get("rope_theta", _GLOBAL)}
    near = {"rope_theta": keys.get("rope_local_base_freq", _LOCAL)}
    return rotary_of(keys, far, _GLOBAL), rotary_of(keys, near, _LOCAL)


def _write(c: ConfigDict) -> dict[str, Any]:
    return {**gemma_keys(c), "rope_local_base_freq": c.backbone.rope_base_local}


def _from_gguf(gguf: GgufMetadata) -> dict[str, Any]:
    period = gguf.number("attention.sliding_window_pattern", _PERIOD)
    softcap = gguf.get("final_logit_softcapping")
    local = gguf.number("rope.freq_base_swa", _LOCAL)
    keys = gemma_gguf_keys(gguf, _LAYERS_27B)
    return {
        **keys,
        "sliding_window_pattern": period,
        "final_logit_softcapping": softcap,
        "rope_local_base_freq": local,
    }


FAMILY = Family(
    name="gemma3",
    architecture="Gemma3ForCausalLM",
    model_type="gemma3_text",
    gguf="gemma3",
    places=decoder_places(GEMMA_NORMS, gguf_less=1.0),
    read=_read,
    write=_write,
    from_gguf=_from_gguf,
)
