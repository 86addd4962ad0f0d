"""Sections of objectives, of the teachers that they name, and of losses between models."""

from ml_collections import ConfigDict

from lexitok.config.sections import section, with_changes


def language_modelling() -> ConfigDict:
    """Objective: the nats of the next symbol."""
    c = ConfigDict({"kind": "language_modelling"})
    c.z_loss = 0.0  # weight of the squared log-normaliser
    c.chunk = 512  # positions of a row whose logits are computed at once
    return c


@section("imitation")
def imitation(**changes) -> ConfigDict:
    """Objective: a hypernetwork finds again the rows that its source has (the first phase of ZeTT's training)."""
    c = ConfigDict({"kind": "imitation"})
    c.tokens = 16_384  # of the source that a step is about
    c.chunk = 512  # as of the other objectives: of evaluation
    return with_changes(c, changes)


@section("token_distillation")
def token_distillation(**changes) -> ConfigDict:
    """Objective: the hidden states of a teacher that reads the same bytes in other tokens (arXiv 2505.20133)."""
    c = ConfigDict()
    c.kind = "token_distillation"
    c.teacher = teacher()
    c.layer = -1  # whose states are compared: -1, the last, after the final norm; or blocks that were gone through
    c.next_token_weight = 0.0  # of the nats of the next symbol, which are added
    c.chunk = 512
    return with_changes(c, changes)


def teacher(**changes) -> ConfigDict:
    """A model of another run that an objective reads."""
    c = ConfigDict()
    c.run = ""  # its directory
    c.cache = ""  # directory of its predictions (experiments/cache_teacher.py), which are read in place of the model
    c.dtype = "float32"  # of its matrices and tables: `float32`, `bfloat16`
    c.shares = ()  # parts that are frozen in the model that is trained, and the same there: they are not held twice
    c.symbols = 1024  # of a row, in its tokens
    c.units = 256  # of a row, where it has units
    c.template = ""  # of chats, as `text.chat.template`; empty: that of its run
    return with_changes(c, changes)


def further_teacher(**changes) -> ConfigDict:
    """A teacher beside the first."""
    c = teacher().unlock()
    c.weight = 1.0  # of its losses, of which the first teacher's have 1
    return with_changes(c, changes)


@section("distillation")
def distillation(**losses: float) -> ConfigDict:
    """Objective: losses between the model and a teacher that reads the same bytes in other tokens
    (`lexitok.distill.losses`), each a mean over what it compares, times its weight.

    Args:
      losses: weights by name; the others are 0, and these losses are not computed.
    """
    c = ConfigDict({"kind": "distillation"})
    c.teacher = teacher()
    c.teachers = ConfigDict()  # further ones by name, as `further_teacher` makes them
    c.trust = "equal"  # how teachers count: `equal`, or by the `likelihood` that they give the text of a batch
    c.losses = ConfigDict()
    c.losses.next_symbol = next_symbol()
    c.losses.alm = alm()
    c.losses.one_to_one = one_to_one()
    c.losses.byte_prefix = byte_prefix()
    c.losses.projected = projected()
    c.losses.hybrid = hybrid()
    c.losses.gold = gold()
    c.losses.simct = simct()
    c.losses.mined = mined()
    c.losses.dskd = dskd()
    c.losses.uld = uld()
    c.losses.hidden_states = hidden_states()
    c.weighting = weighting()
    c.own_lr = 1.0  # the rate of what losses learn beside the model, over the model's
    c.on_policy = on_policy()
    c.chunk = 512
    c.lock()
    for name, weight in losses.items():
        c.losses[name].weight = weight
    return c


def on_policy(**changes) -> ConfigDict:
    """Steps about what the student writes, in place of text (`lexitok.training.on_policy`)."""
    c = ConfigDict()
    c.fraction = 0.0  # of the steps
    c.prompt = 64  # bytes of text that the student goes on with, at most
    c.symbols = 128  # that it writes, at most
    c.temperature = 1.0
    c.top_k = 0  # only the k most likely symbols are drawn; 0: all
    c.top_p = 1.0  # only the most likely symbols that together have this probability
    return with_changes(c, changes)


@section("next_symbol")
def next_symbol() -> ConfigDict:
    """Loss: the nats of the text."""
    return ConfigDict({"kind": "next_symbol", "weight": 0.0})


@section("alm")
def alm(**changes) -> ConfigDict:
    """Loss: stretches of text are as likely as they are to the teacher (arXiv 2503.20083)."""
    c = ConfigDict({"kind": "alm", "weight": 0.0})
    # `kl`, `cross_entropy`, `reverse_kl`, `total_variation`, `squared_log_ratio`
    c.divergence = "kl"
    c.temperature = 5.0  # of both models; `inf` for `kl` and `total_variation`
    c.outcome = "bytes"  # what probabilities are of: `bytes`, after which something new begins, or the `tokens` alone
    c.threshold = 0.1  # of the mass by which the teacher ends a chunk of spans; 0: every span is one
    c.per = "chunk"  # what counts alike: a `chunk`, or a `token` of the student
    return with_changes(c, changes)


@section("one_to_one")
def one_to_one(**changes) -> ConfigDict:
    """Loss: distributions over shared symbols, where both models have one token for the same bytes
    (arXiv 2610.08448)."""
    c = ConfigDict({"kind": "one_to_one", "weight": 0.0})
    c.divergence = "reverse_kl"  # `kl`, `reverse_kl`, `jensen_shannon`
    c.beta = 0.5  # of the mixture of `jensen_shannon`, the teacher's weight
    c.temperature = 1.0  # of both models
    c.top_k = 16  # symbols that are compared; 0: all
    c.chooser = "student"  # whose most likely ones: `student`, `teacher`
    c.chunk = 128  # spans of a row whose logits are computed at once
    return with_changes(c, changes)


@section("byte_prefix")
def byte_prefix(**changes) -> ConfigDict:
    """Loss: the teacher's distributions in the student's symbols, by the bytes that tokens begin with
    (arXiv 2607.22334)."""
    c = ConfigDict({"kind": "byte_prefix", "weight": 0.0})
    c.divergence = "kl"  # `kl`, `jensen_shannon`
    c.depth = 16  # bytes inside a token of the teacher behind which a target may begin
    c.mask_whitespace = False  # leave out spans in which both divide white space differently
    c.chunk = 32  # targets of a row whose logits are computed at once
    return with_changes(c, changes)


@section("projected")
def projected(**changes) -> ConfigDict:
    """Loss: the student's distributions in the teacher's symbols, by a matrix (P-KL, arXiv 2605.21699)."""
    c = ConfigDict({"kind": "projected", "weight": 0.0})
    c.temperature = 1.0
    c.longest = (4, 4)  # targets of a span that is compared, the student's and the teacher's
    c.top_k = 0  # of the teacher's symbols; 0: all
    c.learn = False  # the matrix learns, too
    c.chunk = 32
    return with_changes(c, changes)


@section("hybrid")
def hybrid(**changes) -> ConfigDict:
    """Loss: symbols that go together one by one, the others by size (H-KL, arXiv 2605.21699)."""
    c = ConfigDict({"kind": "hybrid", "weight": 0.0})
    c.temperature = 1.0
    c.longest = (4, 4)
    c.chunk = 32
    return with_changes(c, changes)


@section("gold")
def gold(**changes) -> ConfigDict:
    """Loss: spans as one prediction each, shared symbols and the others apart (TRL's GOLD)."""
    c = ConfigDict({"kind": "gold", "weight": 0.0})
    c.merge = "last"  # of a span's predictions: the `last` given what was before it; `legacy`: as the public code
    c.beta = 0.5
    c.temperature = 1.0
    c.longest = (4, 4)
    c.chunk = 32
    return with_changes(c, changes)


@section("simct")
def simct(**changes) -> ConfigDict:
    """Loss: shared symbols, and a span of several targets as one symbol more (arXiv 2605.07711)."""
    c = ConfigDict({"kind": "simct", "weight": 0.0})
    c.longest = (4, 4)
    c.chunk = 32
    return with_changes(c, changes)


@section("mined")
def mined(**changes) -> ConfigDict:
    """Loss: the teacher's distributions in the symbols that spell most like its own (arXiv 2401.10491)."""
    c = ConfigDict({"kind": "mined", "weight": 0.0})
    c.temperature = 1.0
    c.chunk = 128
    return with_changes(c, changes)


@section("dskd")
def dskd(**changes) -> ConfigDict:
    """Loss: both models' predictions in both spaces, by attention between their tokens (arXiv 2406.17328)."""
    c = ConfigDict({"kind": "dskd", "weight": 0.0})
    c.divergence = "kl"  # in the student's space: `kl`, `reverse_kl`, `jensen_shannon`
    c.temperature = 1.0
    c.chunk = 128
    return with_changes(c, changes)


@section("uld")
def uld(**changes) -> ConfigDict:
    """Loss: sorted probabilities, where both models have one target for the same bytes (arXiv 2402.12030)."""
    c = ConfigDict({"kind": "uld", "weight": 0.0})
    c.temperature = 1.0
    c.chunk = 128
    return with_changes(c, changes)


@section("hidden_states")
def hidden_states(**changes) -> ConfigDict:
    """Loss: squared distances of hidden states after the same bytes."""
    c = ConfigDict({"kind": "hidden_states", "weight": 0.0})
    c.project = False  # the student's states go through a matrix that is learnt
    return with_changes(c, changes)


@section("gradnorm")
@section("gradmag")
@section("fixed")
def weighting(**changes) -> ConfigDict:
    """How losses are weighed against each other (`lexitok.training.weighting`)."""
    # `fixed`: by their numbers; `gradmag`: so that gradients are of one size; `gradnorm`: learnt
    c = ConfigDict({"kind": "fixed"})
    c.preserve = True  # `gradmag`: weights keep their sum
    c.alpha = 0.12  # `gradnorm`: how much more gradient a loss gets that has fallen less
    c.lr = 0.025  # `gradnorm`: the rate of weights
    return with_changes(c, changes)
