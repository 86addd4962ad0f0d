"""Every key of a `config.json` that changes the function is honoured, or refused by its name."""

import json
import logging
from pathlib import Path

import pytest

from lexitok.hub.config_json import ConfigJson
from lexitok.hub.families import FAMILIES, family_of_keys
from lexitok.hub.save import meaning
from lexitok.hub.stored_tensors import HubError

GOLDENS = Path(__file__).parent / "goldens"
LEGACY = {"rope_parameters": None, "rope_theta": 100.0}


def keys_of(name: str, **changes) -> ConfigJson:
    return ConfigJson(json.loads((GOLDENS / name / "config.json").read_text()) | changes, "config.json")


def differences(a: dict, b: dict) -> list[str]:
    """Keys with different values; numbers may differ by rounding."""
    assert a.keys() == b.keys()
    rounded = {k: v if not isinstance(v, float) else pytest.approx(v, rel=1e-6) for k, v in b.items()}
    return [k for k in a if a[k] != rounded[k]]


def read(name: str, **changes):
    keys = keys_of(name, **changes)
    return family_of_keys(keys).read(keys)


@pytest.mark.parametrize(
    ("name", "changes", "section", "setting", "value"),
    [
        ("llama", {"attention_bias": False}, "backbone", "attention_bias", "none"),
        ("llama", {"mlp_bias": False}, "backbone", "feed_forward_bias", "none"),
        ("llama", {"num_key_value_heads": None}, "backbone", "K", 4),
        ("llama", {"head_dim": None}, "backbone", "N", 4),
        ("llama", {"hidden_act": "gelu"}, "backbone", "activation", "gelu_exact"),
        ("llama", {"tie_word_embeddings": True}, "interface", "tied", "yes"),
        ("llama", LEGACY, "backbone", "rope_llama3", ()),
        ("llama", LEGACY | {"rope_scaling": {"type": "linear", "factor": 3}}, "backbone", "rope_scale", 3.0),
        ("mistral", {"sliding_window": None}, "backbone", "layer_kinds", ("global",)),
        ("qwen2", {"layer_types": None}, "backbone", "layer_kinds", ("global", "local", "local")),
        ("qwen2", {"layer_types": None, "use_sliding_window": False}, "backbone", "layer_kinds", ("global",)),
        ("qwen3", {"head_dim": None}, "backbone", "N", 128),
        ("gemma2", {"attn_logit_softcapping": None}, "backbone", "softcap", 0.0),
        ("gemma2", {"query_pre_attn_scalar": 16}, "backbone", "query_scale", 0.25),
        ("gemma2", {"layer_types": None}, "backbone", "layer_kinds", ("local", "global")),
        ("gemma3", {"layer_types": None, "sliding_window_pattern": 2}, "backbone", "layer_kinds", ("local", "global")),
        ("gemma3", LEGACY | {"rope_local_base_freq": 7.0}, "backbone", "rope_base_local", 7.0),
        ("gemma3", LEGACY | {"rope_scaling": {"rope_type": "linear", "factor": 8.0}}, "backbone", "rope_scale", 8.0),
        ("smollm3", {"no_rope_layers": None}, "backbone", "layer_kinds", ("global",) * 3 + ("unrotated",)),
        ("smollm3", {"no_rope_layers": None, "no_rope_layer_interval": 2}, "backbone", "layer_kinds",
         ("global", "unrotated")),
        ("gpt_neox", {"use_parallel_residual": False}, "backbone", "residual", "serial"),
        ("gpt_neox", {"rope_parameters": None, "rotary_pct": 1.0}, "backbone", "rope_fraction", 1.0),
        ("gpt_neox", {"rope_parameters": None, "rotary_pct": 1, "rotary_emb_base": 9.0}, "backbone", "rope_base", 9.0),
    ],
)  # fmt: skip
def test_keys_that_are_honoured(name, changes, section, setting, value):
    """In the words of old and of new files, and with the defaults that `transformers` has."""
    assert read(name, **changes)[section][setting] == value


def test_keys_that_are_missing_mean_what_transformers_means():
    """Files on the hub were written before there were some of the keys."""
    gemma2, mistral = keys_of("gemma2"), keys_of("mistral")
    for key in ("attn_logit_softcapping", "final_logit_softcapping", "query_pre_attn_scalar", "sliding_window"):
        del gemma2.values[key]
    c = FAMILIES["gemma2"].read(gemma2)
    assert (c.backbone.softcap, c.interface.softcap, c.backbone.query_scale) == (50.0, 30.0, 1 / 16)
    assert c.backbone.window == 4096
    del mistral.values["sliding_window"]
    assert FAMILIES["mistral"].read(mistral).backbone.window == 4096


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "llama",
            LEGACY | {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
            "'yarn'; lexitok has default, linear",
        ),
        ("llama", LEGACY | {"rope_scaling": {"type": "dynamic", "factor": 4.0}}, "'dynamic'"),
        ("llama", LEGACY | {"rope_scaling": {"type": "linear"}}, "'factor' of rotary positions is None"),
        ("llama", LEGACY | {"rope_scaling": {"type": "linear", "factor": 2, "beta": 1}}, "the unknown keys beta"),
        ("llama", LEGACY | {"rope_scaling": [1]}, "'rope_scaling' is .1.; it has to be an object"),
        ("llama", {"rope_parameters": {"full_attention": {}}}, "differ by the kind of layer"),
        (
            "llama",
            {"quantization_config": {"bits": 4}},
            "'quantization_config' is .* quantised safetensors are not read",
        ),
        ("llama", {"partial_rotary_factor": 0.5}, "only GPT-NeoX rotates a part of a head"),
        ("llama", {"hidden_act": "tanh"}, "'hidden_act' is 'tanh'; it has to be one of silu, gelu"),
        ("llama", {"hidden_size": -16}, "'hidden_size' is -16; it has to be a whole number"),
        ("llama", {"hidden_size": 2**70}, "'hidden_size'"),
        ("llama", {"num_hidden_layers": 10**9}, "'num_hidden_layers' is 1000000000"),
        ("llama", {"num_attention_heads": True}, "'num_attention_heads' is True"),
        ("llama", {"rms_norm_eps": float("inf")}, "'rms_norm_eps' is inf; it has to be a number above 0"),
        ("llama", {"intermediate_size": None}, "the key 'intermediate_size' is missing"),
        ("mistral", {"layer_types": ["full_attention"]}, "'layer_types'"),
        ("mistral", LEGACY | {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rescaled in layers with a window"),
        ("qwen2", {"use_sliding_window": False}, "'layer_types' .* use_sliding_window only"),
        ("qwen2", {"layer_types": ["full_attention"]}, "'layer_types' .* a list of 3 values"),
        ("gemma2", {"use_bidirectional_attention": True}, "'use_bidirectional_attention' is True"),
        ("gemma3", {"layer_types": ["full_attention", "chunked", "a", "b"]}, "'layer_types'"),
        ("smollm3", {"use_sliding_window": True}, "'use_sliding_window' is True"),
        ("smollm3", {"no_rope_layers": [1, 0]}, "'no_rope_layers' is .1, 0.; it has to be a list of 4 values"),
        ("gpt_neox", {"rope_parameters": None, "rotary_pct": 0.25}, "0.25 of a head's width of 4 cannot be rotated"),
    ],
)
def test_keys_that_are_refused(name, changes, message):
    """What lexitok has not is said by the name of the key, and nothing is silently computed otherwise."""
    with pytest.raises(HubError, match=f"config.json: .*{message}"):
        read(name, **changes)


def test_an_unknown_architecture_lists_what_is_known():
    """Also where only the type of model is named."""
    for changes in (
        {"architectures": ["Gemma3ForConditionalGeneration"]},
        {"architectures": None, "model_type": "bert"},
    ):
        with pytest.raises(HubError, match="unknown architecture '.*'; known are LlamaForCausalLM .llama., Mistral"):
            read("llama", **changes)
    assert family_of_keys(keys_of("qwen3", architectures=None)).name == "qwen3"


def test_keys_that_nobody_knows_are_named(caplog):
    """They may mean something to a version that is not known here."""
    keys = keys_of("qwen3", attention_sparsity=0.5, use_cache=True, some_flag=False)
    FAMILIES["qwen3"].read(keys)
    with caplog.at_level(logging.WARNING):
        keys.warn_of_unread()
    assert "not known, and left aside: attention_sparsity" in caplog.text and "some_flag" not in caplog.text


@pytest.mark.parametrize("name", [path.name for path in GOLDENS.iterdir()])
def test_settings_written_as_keys_mean_the_same(name):
    """Every setting of a family has its key, in the words of old files."""
    keys = keys_of(name)
    family = family_of_keys(keys)
    c = family.read(keys)
    again = family.read(ConfigJson(family.write(c) | {"vocab_size": 40}, "written"))
    assert differences(meaning(again), meaning(c)) == []


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_files_that_are_no_objects(tmp_path, raw):
    """A damaged config is told by its path."""
    (tmp_path / "config.json").write_bytes(raw)
    with pytest.raises(HubError, match="config.json"):
        ConfigJson.load(tmp_path / "config.json")
