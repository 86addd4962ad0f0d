"""Tensors of the families that are built like Llama, and the settings that they share.

Names in a GGUF are those of the `gguf` library's tensor map. Two facts of its converter (`conversion/llama.py` and
`conversion/gemma.py` of llama.cpp): rows of queries and keys of the architecture `llama` are reordered for rotary pairs
that lie side by side, and 1 is added to the norms of Gemma.
"""

from typing import Any

from ml_collections import ConfigDict

from lexitok.config import token_lm
from lexitok.hub.axis_layouts import Layout
from lexitok.hub.config_json import ConfigJson
from lexitok.hub.places import Place
from lexitok.hub.rotary import Rotary, read_rotary, rotary_keys

IN = Layout("(H N) D", "D H N")
IN_KEYS = Layout("(K N) D", "D K N")
ACTIVATIONS = {"silu": "silu", "gelu": "gelu_exact", "gelu_pytorch_tanh": "gelu", "relu": "relu"}
_PAIRED = {  # by the axis of heads: rotary pairs side by side, as in a GGUF of the architecture `llama`
    "H": (Layout("(H half pair) D", "D H (pair half)"), Layout("(H half pair)", "H (pair half)")),
    "K": (Layout("(K half pair) D", "D K (pair half)"), Layout("(K half pair)", "K (pair half)")),
}
LLAMA_NORMS = {
    "mixer_norm": ("input_layernorm", "attn_norm"),
    "feed_forward_norm": ("post_attention_layernorm", "ffn_norm"),
}
GEMMA_NORMS = {
    "mixer_norm": ("input_layernorm", "attn_norm"),
    "mixer_post_norm": ("post_attention_layernorm", "post_attention_norm"),
    "feed_forward_norm": ("pre_feedforward_layernorm", "ffn_norm"),
    "feed_forward_post_norm": ("post_feedforward_layernorm", "post_ffw_norm"),
}


def decoder_places(norms: dict[str, tuple[str, str]], *, gguf_rotary: str = "halves", gguf_less: float = 0.0):
    """The places of all parameters that a model of such a family may have.

    Args:
      norms: of a layer: by our name, the names in both kinds of files.
      gguf_rotary: how a GGUF has rotary pairs: `halves` apart, as everywhere else, or side by side (`pairs`).
      gguf_less: what a GGUF has added to the scales of norms.
    """
    table = Layout("V D", "V D")
    return (
        Place("interface.table", "model.embed_tokens.weight", table, "token_embd.weight"),
        Place("interface.head", "lm_head.weight", table, "output.weight"),
        _norm("backbone.norm", "model.norm", "output_norm", gguf_less),
        *(
            _norm(f"backbone.layers.{ours}", f"model.layers.{{i}}.{name}", f"blk.{{i}}.{gguf}", gguf_less)
            for ours, (name, gguf) in norms.items()
        ),
        *_attention(gguf_rotary, gguf_less),
        *_linear("feed_forward.gate", "mlp.gate_proj", "ffn_gate", Layout("F D", "D F"), "F"),
        *_linear("feed_forward.up", "mlp.up_proj", "ffn_up", Layout("F D", "D F"), "F"),
        *_linear("feed_forward.down", "mlp.down_proj", "ffn_down", Layout("D F", "F D"), "D"),
    )


def _attention(gguf_rotary: str, gguf_less: float) -> list[Place]:
    paired = _PAIRED if gguf_rotary == "pairs" else {"H": (None, None), "K": (None, None)}
    q_norm = "backbone.layers.mixer.q_norm", "model.layers.{i}.self_attn.q_norm", "blk.{i}.attn_q_norm"
    k_norm = "backbone.layers.mixer.k_norm", "model.layers.{i}.self_attn.k_norm", "blk.{i}.attn_k_norm"
    return [
        *_linear("mixer.wq", "self_attn.q_proj", "attn_q", IN, "(H N) -> H N", paired["H"]),
        *_linear("mixer.wk", "self_attn.k_proj", "attn_k", IN_KEYS, "(K N) -> K N", paired["K"]),
        *_linear("mixer.wv", "self_attn.v_proj", "attn_v", IN_KEYS, "(K N) -> K N"),
        *_linear("mixer.wo", "self_attn.o_proj", "attn_output", Layout("D (H N)", "H N D"), "D"),
        _norm(*q_norm, gguf_less, "N"),
        _norm(*k_norm, gguf_less, "N"),
    ]


def _norm(parameter: str, name: str, gguf: str, gguf_less: float, axes: str = "D") -> Place:
    return Place(f"{parameter}.scale", f"{name}.weight", Layout(axes, axes), f"{gguf}.weight", gguf_less=gguf_less)


def _linear(
    parameter: str,
    name: str,
    gguf: str,
    layout: Layout,
    bias: str,
    in_gguf: tuple[Layout | None, Layout | None] = (None, None),
) -> list[Place]:
    """A linear map of a layer and its bias: where they are, their axes, and those in a GGUF where they are others."""
    room, last = parameter.split(".")
    file, _, ours = bias.partition(" -> ")
    prefix, in_file, blk = "backbone.layers.", f"model.layers.{{i}}.{name}", f"blk.{{i}}.{gguf}"
    of_bias = f"{prefix}{room}.{last.removeprefix('w')}_bias.bias"
    return [
        Place(prefix + parameter, f"{in_file}.weight", layout, f"{blk}.weight", in_gguf[0]),
        Place(of_bias, f"{in_file}.bias", Layout(file, ours or file), f"{blk}.bias", in_gguf[1]),
    ]


def read_decoder(keys: ConfigJson, *, rotary: Rotary | None = None, **defaults: Any) -> ConfigDict:
    """The settings that `config.json` gives in the same words in all these families.

    Args:
      keys: of the file.
      rotary: rotary positions; None: those that the file describes for all layers alike.
      defaults: what is meant where a key is missing: `tied`, `activation` (its key: `activation_key`), `theta`, `N`.
    """
    c = token_lm()
    b, i = c.backbone, c.interface
    b.D, b.L = keys.size("hidden_size"), keys.size("num_hidden_layers", most=10_000)
    b.H = keys.size("num_attention_heads")
    b.K = keys.size("num_key_value_heads", default=b.H)
    b.N = keys.size("head_dim", default=defaults.get("N") or max(1, b.D // b.H))
    b.F = keys.size("intermediate_size")
    b.norm_eps = keys.number("rms_norm_eps", default=1e-6)
    b.activation = keys.choice(
        defaults.get("activation_key", "hidden_act"), ACTIVATIONS, default=defaults.get("activation", "silu")
    )
    i.tied = "yes" if keys.flag("tie_word_embeddings", default=defaults.get("tied", False)) else "no"
    rotary = rotary or read_rotary(keys, defaults.get("theta", 10_000.0))
    b.rope_base = b.rope_base_local = rotary.base
    b.rope_scale, b.rope_llama3 = rotary.scale, rotary.llama3
    keys.must_be("partial_rotary_factor", 1.0, "only GPT-NeoX rotates a part of a head here")
    keys.must_be("quantization_config", None, "quantised safetensors are not read; use the original, or a GGUF")
    return c


def decoder_keys(c: ConfigDict) -> dict[str, Any]:
    """The same settings as `config.json` says them."""
    b, i = c.backbone, c.interface
    return {
        "hidden_size": b.D,
        "num_hidden_layers": b.L,
        "num_attention_heads": b.H,
        "num_key_value_heads": b.K,
        "head_dim": b.N,
        "intermediate_size": b.F,
        "rms_norm_eps": b.norm_eps,
        "tie_word_embeddings": i.tied == "yes",
        **rotary_keys(Rotary(b.rope_base, b.rope_scale, tuple(b.rope_llama3))),
    }


def activation_name(c: ConfigDict) -> str:
    """The feed-forward's activation as `config.json` calls it."""
    return {ours: name for name, ours in ACTIVATIONS.items()}[c.backbone.activation]


def pattern(kinds: list[str]) -> tuple[str, ...]:
    """The shortest kinds of layers that repeat to all of them."""
    for period in range(1, len(kinds)):
        if all(kind == kinds[i % period] for i, kind in enumerate(kinds)):
            return tuple(kinds[:period])
    return tuple(kinds)


def all_kinds(c: ConfigDict) -> list[str]:
    """The kind of every layer."""
    kinds = c.backbone.layer_kinds
    return [kinds[i % len(kinds)] for i in range(c.backbone.L)]
