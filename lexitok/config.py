"""The tree of every setting of a run, with its default. A file in `configs/` changes what its experiment is about."""

from ml_collections import ConfigDict


def default_config() -> ConfigDict:
    """A complete configuration: a small HAT v2 on the embedded text. Letters are the axes of the glossary."""
    c = ConfigDict()
    c.name = "default"
    c.seed = 0
    c.data = _data()
    c.text = _text()
    c.model = byte_unit_lm()
    c.optimizer = _optimizer()
    c.mesh = ConfigDict({"data": -1, "fsdp": 1, "tensor": 1})  # devices along each axis; one may be -1: what is left
    c.train = _train()
    c.eval = _eval()
    return c.lock()


def _data() -> ConfigDict:
    c = ConfigDict()
    # `stdlib`, `text:GLOB`, `jsonl:GLOB`, `parquet:GLOB`, `tfds:NAME`; mixed: `0.7*stdlib + 0.3*text:a/*.md`
    c.source = "stdlib"
    c.train_split = "train"
    c.validation_split = "validation"
    c.field = "text"  # of JSONL and Parquet records
    c.cache = "~/.cache/lexitok"  # where sources are written once, as array_record
    c.rows = 16  # B, rows of a batch over all devices
    c.symbols = 1024  # S, symbols of a row
    c.units = 256  # W, units of a row
    c.packing_bins = 64  # rows that are filled at once; more: fuller rows, more memory
    c.workers = 0  # processes that prepare batches; 0: a thread of this one
    return c


def _text() -> ConfigDict:
    c = ConfigDict()
    c.kind = "byte_units"  # symbols: `bytes`, `byte_units` (bytes pooled into units), `subword`
    c.alphabet = "appended"  # specials: `appended` as ids from 256, or `in_bytes` that UTF-8 never uses
    c.splitter = "unicode_words"  # `whitespace`, `unicode_words`, `spacelike`, `stride`
    c.max_unit_bytes = 64  # longer units are cut, at characters where possible
    c.stride = 8  # bytes a unit, for splitter `stride`
    c.digits = "free"  # `free`, `single`, `left3`, `right3`
    c.boundary = "lagged"  # `lagged` (HAT v2), `end_symbol` (HAT v1)
    c.vocabulary = ConfigDict({"kind": "bpe", "size": 4096, "path": "", "train_bytes": 4_000_000})
    return c


def transformer(**changes) -> ConfigDict:
    """A transformer stack: by default pre-norm, grouped queries, SwiGLU and rotary positions, as Llama 3."""
    c = ConfigDict()
    c.D = 256
    c.L = 6
    c.H = 4
    c.K = 4
    c.N = 64
    c.F = 768
    c.activation = "silu"  # of the gated feed-forward: `silu`, `gelu`
    c.norm_eps = 1e-5
    c.norm_scale = "plain"  # `plain`: x*w; `offset`: x*(1+w), as Gemma
    c.qk_norm = "none"  # `none`, `rms` (Qwen 3, Gemma 3)
    c.post_norms = "none"  # `none`, `rms` after each sublayer too (Gemma 3)
    c.layer_kinds = ("global",)  # repeated over the layers; `global` or `local`
    c.window = 0  # positions that a `local` layer sees, itself included
    c.rope_base = 10_000.0
    c.rope_base_local = 10_000.0
    c.rope_scale = 1.0  # positions of global layers are divided by it (Gemma 3: 8 for the larger models)
    c.rope_llama3 = ()  # or (factor, low frequency factor, high frequency factor, original context) of Llama 3.1
    c.softcap = 0.0  # of attention scores; 0: none
    c.query_scale = 0.0  # of queries; 0: N ** -0.5
    c.final_norm = "rms"  # `rms`, `none`
    c.remat = "none"  # `none`, `dots`, `full`: what the backward pass recomputes
    c.attention = "auto"  # implementation of ops/attention
    c.lock().update(changes)
    return c


def byte_unit_lm() -> ConfigDict:
    """Settings of `ByteUnitLM`, for `c.model`: a HAT v2."""
    c = ConfigDict()
    c.kind = "byte_unit_lm"
    c.compute_dtype = "auto"  # `auto`: bfloat16 on accelerators, float32 on CPU
    c.encoder = local(L=2)
    c.pool = "latent_query"  # `latent_query` (HAT v2), `slot` (HAT v1)
    c.pool_positions = "offset"  # of bytes for the pool: `offset` in their unit, or `published`: less the unit's number
    c.backbone = transformer(final_norm="none")
    c.unpool = "add"  # `add` (HAT v2), `prefix` (HAT v1)
    c.unpool_weights = "needed"  # of `add`: `needed`, or `published`: with query and key weights that have no effect
    c.decoder = local(L=2, final_norm="rms")
    c.logit_softcap = 0.0
    return c


def local(**changes) -> ConfigDict:
    """A stack at the rate of bytes: `scope` says what a byte sees, `window` bytes before it or its own unit."""
    c = transformer(D=128, L=2, H=4, K=4, N=32, F=352, layer_kinds=("local",), window=128, final_norm="none")
    with c.unlocked():
        c.scope = "window"  # `window`: causal, across units; `unit`: only its own unit
    c.update(changes)
    return c


def token_lm() -> ConfigDict:
    """Settings of `TokenLM`, for `c.model`."""
    c = ConfigDict()
    c.kind = "token_lm"
    c.compute_dtype = "auto"
    c.backbone = transformer()
    c.interface = "table"
    c.tied = "no"  # `yes`: the output projection is the embedding table
    c.embed_scale = 1.0  # Gemma: sqrt(D)
    c.logit_softcap = 0.0
    return c


def _optimizer() -> ConfigDict:
    c = ConfigDict()
    c.name = "adamw"  # `adamw`, `muon`
    c.lr = 3e-3
    c.b1 = 0.9
    c.b2 = 0.95
    c.eps = 1e-8
    c.weight_decay = 0.1  # decoupled; not on norms, biases, latent vectors
    c.muon_lr = 0.02  # of matrices, when `name` is `muon`
    c.clip = 1.0  # global norm of the gradient; 0: none
    c.accumulate = 1  # micro-batches a step; they divide data.rows
    c.schedule = "cosine"  # `cosine`, `wsd`, `power`, `constant`
    c.warmup = 100  # steps
    c.final = 0.1  # last learning rate over the peak
    c.decay = 0.2  # fraction of the steps that `wsd` and `power` spend on their decay
    c.power = ConfigDict({"a": 4.0, "b": -0.51, "max_lr": 0.02})  # arXiv 2408.13359
    return c


def _train() -> ConfigDict:
    c = ConfigDict()
    c.steps = 1000
    c.log_every = 10
    c.eval_every = 500
    c.checkpoint_every = 500
    c.keep = 2  # checkpoints
    c.z_loss = 0.0
    c.ema = 0.0  # decay of the exponential average of the parameters; 0: none
    c.loss_chunk = 512  # positions of a row whose logits are held at once
    return c


def _eval() -> ConfigDict:
    c = ConfigDict()
    c.bytes = 1_000_000  # of the validation split's whole documents, at most; 0: all
    c.overlap = 0.5  # of a window of a long document that is context for the rest
    # Splitter that defines words in metrics. One that puts the space before a word, as most tokenizers do: where it
    # stands behind, a token model has to get the next word right too.
    c.words = "unicode_words"
    return c
