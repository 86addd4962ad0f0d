"""The tree of every setting of a run, with its default. A file in `configs/` changes what its experiment is about."""

from ml_collections import ConfigDict

from lexitok.config.interfaces import table
from lexitok.config.objectives import language_modelling
from lexitok.config.sections import named, section, with_changes
from lexitok.config.stacks import local, transformer


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
    c.objective = language_modelling()
    c.train = _train()
    c.eval = _eval()
    return c.lock()


def _data() -> ConfigDict:
    c = ConfigDict()
    # `stdlib`, `digits`, `text:GLOB`, `jsonl:GLOB`, `chats:GLOB`, `parquet:GLOB`, `tfds:NAME`; mixed:
    # `0.7*stdlib + 0.3*text:a/*.md`
    c.source = "stdlib"
    c.train_split = "train"
    c.validation_split = "validation"
    c.field = "text"  # of JSONL and Parquet records
    c.cache = "~/.cache/lexitok"  # where sources are written once, as array_record
    c.rows = 16  # B, rows of a batch over all devices
    c.symbols = 1024  # S, symbols of a row
    c.units = 256  # W, units of a row
    c.packing_bins = 64  # rows that are filled at once; more: fuller rows, more memory
    # Of a tokenizer of several parts (experiments/hydra.py): the part that reads the documents of each source, by name;
    # empty: its speaker reads all of them
    c.parts = ()
    c.workers = 0  # processes that prepare batches; 0: a thread of this one
    # `own`: batches are under the tokenizer of `text`; `drawn`: each under one that is drawn for it from the text, in
    # tokens of a source, for interfaces that make vectors of these (evaluation is under that of `text`)
    c.tokenizers = "own"
    c.drawn = _drawn()
    return c


def _drawn() -> ConfigDict:
    c = ConfigDict()
    c.source = ""  # file of the tokenizer whose tokens spell those of the drawn ones
    c.parts = 8  # P, of a token at most
    # `mixed`: sources are one text; `apart`: a batch and its tokenizer are of one source, which is the batch's language
    c.languages = "mixed"
    c.size = 32_768  # V, ids of each, with three specials and the 256 bytes
    c.window_bytes = 1_000_000  # of text that a tokenizer is drawn from
    c.longest = 15  # bytes of the longest token
    c.stride = 1  # substrings start at every so-manieth character of a word; 4 in the published sampler
    c.noise = 1e-5  # standard deviation of what is added to probabilities: the median over tokenizers; 0: none
    c.noise_spread = 4.0  # standard deviation over tokenizers of that number's natural logarithm
    c.whitespace = 8  # runs of a space, line break or tab up to so many bytes are tokens in any case
    return c


def _text() -> ConfigDict:
    c = ConfigDict()
    c.kind = "byte_units"  # symbols: `bytes`, `byte_units` (bytes pooled into units), `subword`
    c.alphabet = "appended"  # specials: `appended` as ids from 256, or `in_bytes` that UTF-8 never uses
    # `whitespace`, `unicode_words`, `aunet_words`, `spacelike`, `stride`; `tokens` of `text.vocabulary`; `model`: it is
    # the model that splits (`model.router`)
    c.splitter = "unicode_words"
    c.max_unit_bytes = 64  # longer units are cut, at characters where possible
    c.stride = 8  # bytes a unit, for splitter `stride`
    c.digits = "free"  # `free`, `single`, `left3`, `right3`
    # `lagged` (HAT v2), `end_symbol` (HAT v1, Learn Your Tokens), `revealed` (SpaceByte, BLT, AU-Net, H-Net), `fused`
    # (Bolmo); see lexitok/text/boundaries
    c.boundary = "lagged"
    c.slots = 1  # positions that open a unit, for boundary `end_symbol`
    # kind: `bpe`, `unigram`, or these with tokens that span words: `supertoken_bpe`, `supertoken_unigram`
    c.vocabulary = ConfigDict({"kind": "bpe", "size": 4096, "path": "", "train_bytes": 4_000_000})
    # of sources `chats`: a chat template, or the file or directory of a checkpoint that has one; roles that are learnt
    c.chat = ConfigDict({"template": "", "learnt": ("assistant",)})
    return c


@section("byte_unit_lm")
def byte_unit_lm() -> ConfigDict:
    """Settings of `ByteUnitLM`, for `c.model`: a HAT v2."""
    c = ConfigDict()
    c.kind = "byte_unit_lm"
    c.compute_dtype = "auto"  # `auto`: bfloat16 on accelerators, float32 on CPU
    c.interface = table()
    c.embedding = embedding()
    c.stage = stage()
    return c


def embedding() -> ConfigDict:
    """What is added to the vector of a byte for the bytes before it."""
    c = ConfigDict()
    c.adds = "nothing"  # `nothing`, `ngram_hash` (BLT), `suffix_token` (Bolmo)
    c.ngrams = (3, 4, 5, 6, 7, 8)
    c.ngram_rows = 8192  # of each n-gram's table
    c.ngram_functions = 1  # tables of each size
    return c


@section("stage")
def stage(**changes) -> ConfigDict:
    """One level of a hierarchy; `backbone` may be another."""
    c = ConfigDict()
    c.kind = "stage"
    c.encoder = local(L=2)
    c.router = given()
    c.pool = "latent_query"  # `latent_query` (HAT v2), `slot` (HAT v1), `last`, `mean`, `max_cross` (BLT)
    c.pool_positions = "offset"  # of bytes for the pool: `offset` in their unit, or `published`: less the unit's number
    c.widen = "project"  # of `last` and `mean`: `zeros`, `learned`, `project`, `project_bias`, `project_normed`
    c.slots = 1  # positions of the backbone for a unit; also `text.slots`
    c.cross = ConfigDict({"vectors": 2, "H": 4})  # of a unit, and heads: of `max_cross` and `cross`
    c.backbone = transformer(final_norm="none")
    c.first = "learned"  # seen where no unit is: `learned`, `zeros`
    # `add` (HAT v2), `prefix` (HAT v1), `cross` (BLT), `latest` (Bolmo), `scatter` (SpaceByte), `offset` (AU-Net),
    # `smoothed` (H-Net)
    c.unpool = "add"
    c.unpool_weights = "needed"  # of `add`: `needed`, or `published`: with query and key weights that have no effect
    c.narrow = "first"  # of `latest`, `scatter` and `smoothed`: the `first` of a guide, or a linear map, `project`
    c.offsets = 16  # of `offset`
    c.decoder = local(L=2, final_norm="rms")
    return with_changes(c, changes)


def given() -> ConfigDict:
    """No router: units come with the text."""
    return ConfigDict({"kind": "given", "capacity": 1.0})


@section("cosine")
def cosine_router(**changes) -> ConfigDict:
    """H-Net's. `capacity`: units that there is room for, over positions, where the stage is a backbone; others are
    passed over, and counted (`inner_units_dropped`)."""
    return with_changes(ConfigDict({"kind": "cosine", "capacity": 1.0, "target": 5.0, "weight": 0.03}), changes)


@section("stride")
def stride_router(**changes) -> ConfigDict:
    """A unit every `stride` positions."""
    return with_changes(ConfigDict({"kind": "stride", "capacity": 1.0, "stride": 2}), changes)


@section("distilled")
def distilled_router(**changes) -> ConfigDict:
    """Bolmo's: units come with the text, and it learns to find them; `weight` is that of its loss."""
    return with_changes(ConfigDict({"kind": "distilled", "capacity": 1.0, "weight": 4.0}), changes)


@section("entropy")
def entropy_router(**changes) -> ConfigDict:
    """BLT's. The model that it asks is that of the run `run`, whose shape `lm` is."""
    c = ConfigDict()
    c.kind = "entropy"
    c.capacity = 1.0
    c.run = ""  # directory of the run that trained the model (`configs/entropy_lm.py`)
    c.rule = "global"  # `global`: entropy above the threshold; `relative`: its rise
    c.bytes_per_unit = 4.5  # that the threshold is calibrated to
    c.sample_bytes = 200_000  # on so much of the training text
    c.longest = 64  # positions of a unit, at most
    c.symbols = 260
    c.lm = token_lm()
    c.lm.backbone = transformer(D=128, L=3, H=4, K=4, N=32, F=352, layer_kinds=("local",), window=128)
    return with_changes(c, changes)


@section("token_lm")
def token_lm() -> ConfigDict:
    """Settings of `TokenLM`, for `c.model`."""
    c = ConfigDict()
    c.kind = "token_lm"
    c.compute_dtype = "auto"
    c.interface = table()
    c.backbone = transformer()
    return c


def innermost(model: ConfigDict) -> ConfigDict:
    """The section of a model's backbone that is a stack, and no further stage."""
    inner = [c for name in ("stage", "backbone") for key, c in model.items() if key == name]
    return innermost(inner[0]) if inner else model


def asking_router(config: ConfigDict) -> tuple[str, ConfigDict] | None:
    """The router that asks a model of its own (BLT), with its path from `model`; None where there is none."""
    found = [(path, c) for path, c in named(config.model, "router") if c.kind == "entropy"]
    return found[0] if found else None


def width(c: ConfigDict) -> int:
    """Of the vectors that go into and come out of a stack, or of a stage, which has its encoder's."""
    return width(c.encoder) if c.kind == "stage" else c.D


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
    c.frozen = ()  # parts of the model that stay as they are, by name, as `stage.backbone`
    c.frozen_dtype = "float32"  # of the matrices and tables in them: `float32`, `bfloat16`
    # Symbols whose rows of the interface's tables are trained while the others stay as they are: ids and ranges, as
    # `7,100:164`, and kinds of rows of the run in `train.start`, if a transfer wrote it, as `made`; empty: all.
    c.rows = ""
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
    c.ema = 0.0  # decay of the exponential average of the parameters; 0: none
    # A run whose parameters a fresh state begins with: those of `part` of its model, for the part `at` of this one, by
    # name, as `stage.backbone`; empty: the whole model.
    c.start = ConfigDict({"run": "", "part": "", "at": ""})
    return c


def _eval() -> ConfigDict:
    c = ConfigDict()
    c.bytes = 1_000_000  # of the validation split's whole documents, at most; 0: all
    c.overlap = 0.5  # of a window of a long document that is context for the rest
    # Splitter that defines words in metrics. One that puts the space before a word, as most tokenizers do: where it
    # stands behind, a token model has to get the next word right too.
    c.words = "unicode_words"
    return c
