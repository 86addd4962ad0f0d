"""Sections of stacks of layers."""

from ml_collections import ConfigDict

from lexitok.config.sections import section, with_changes


@section("transformer")
def transformer(**changes) -> ConfigDict:
    """A transformer stack: by default pre-norm, grouped queries, SwiGLU and rotary positions, as Llama 3."""
    c = ConfigDict()
    c.kind = "transformer"
    c.D = 256
    c.L = 6
    c.H = 4
    c.K = 4
    c.N = 64
    c.F = 768
    c.mixer = "attention"  # `attention`, `mamba2`, `mlstm` (see the functions of these names)
    c.feed_forward = "gated"  # `gated`, `plain` (two matrices), `none`
    c.activation = "silu"  # of the feed-forward: `silu`, `gelu` (by tanh), `gelu_exact`, `relu`
    c.feed_forward_bias = "none"  # `none`, `learned`
    c.attention_bias = "none"  # of the projections: `none`, `qkv` (Qwen 2), `all` (GPT-NeoX)
    c.residual = "serial"  # `serial`, or `parallel`: the feed-forward reads what the mixer reads (GPT-NeoX)
    c.norm_eps = 1e-5
    c.norm_scale = "plain"  # `plain`: x*w; `offset`: x*(1+w), as Gemma
    c.norm_bias = "none"  # of `layer` norms: `none`, `learned` (GPT-NeoX)
    c.qk_norm = "none"  # `none`, `rms` (Qwen 3, Gemma 3), `rms_all` heads together (OLMo 2), `layer`
    c.pre_norms = "rms"  # `rms`, `layer`, `none`: before each sublayer
    c.post_norms = "none"  # the same, after each sublayer (Gemma 3: both, OLMo 2: only after)
    c.layer_kinds = ("global",)  # repeated over the layers; `global`, `local`, `unrotated` (global, SmolLM 3)
    c.window = 0  # positions that a `local` layer sees, itself included
    c.rope_base = 10_000.0
    c.rope_base_local = 10_000.0
    c.rope_fraction = 1.0  # of a head's width that is rotated
    c.rope_scale = 1.0  # positions of global layers are divided by it (Gemma 3: 8 for the larger models)
    c.rope_llama3 = ()  # or (factor, low frequency factor, high frequency factor, original context) of Llama 3.1
    c.softcap = 0.0  # of attention scores; 0: none
    c.query_scale = 0.0  # of queries; 0: N ** -0.5
    c.final_norm = "rms"  # `rms`, `layer`, `none`
    c.remat = "none"  # `none`, `dots`, `full`: what the backward pass recomputes
    c.attention = "auto"  # implementation of ops/attention
    return with_changes(c, changes)


def mamba2(**changes) -> ConfigDict:
    """A stack of Mamba-2 layers (arXiv 2405.21060); `N` is the width of their heads, `H` follows from it."""
    c = transformer(mixer="mamba2", feed_forward="none", N=64)
    with c.unlocked():
        c.state = 128  # positions of a head's state
        c.conv = 4  # positions that the convolution sees
        c.expand = 2  # inner width over `D`
        c.groups = 1  # of heads that share what is written and read
    return with_changes(c, changes)


def mlstm(**changes) -> ConfigDict:
    """A stack of mLSTM layers (arXiv 2405.04517, in the form of xLSTM 7B, arXiv 2503.13427)."""
    c = transformer(mixer="mlstm")
    with c.unlocked():
        c.qk_factor = 0.5  # width of queries and keys over `D`
        c.v_factor = 1.0  # of values
        c.gate_softcap = 15.0
        c.input_gate_bias = -10.0  # at the start, as in xLSTM 7B
        c.forget_gate_bias = (3.0, 6.0)  # at the start, of the first and the last head
        c.norm_eps = 1e-6
    return with_changes(c, changes)


def chain(*parts: ConfigDict) -> ConfigDict:
    """Stacks of one width, one after the other."""
    return ConfigDict({"kind": "chain", "D": parts[0].D, "parts": {f"part{i}": part for i, part in enumerate(parts)}})


def local(**changes) -> ConfigDict:
    """A stack at the rate of bytes: `scope` says what a byte sees, `window` bytes before it or its own unit."""
    c = transformer(D=128, L=2, H=4, K=4, N=32, F=352, layer_kinds=("local",), window=128, final_norm="none")
    return scoped(c, **changes)


def scoped(c: ConfigDict, scope: str = "window", **changes) -> ConfigDict:
    """A stack for a stage's encoder or decoder: `scope` is `window` (causal, across units) or its own `unit`."""
    with c.unlocked():
        c.scope = scope
    return with_changes(c, changes)
