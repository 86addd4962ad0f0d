"""A student and a teacher of random parameters, on texts that both read, each in its own tokens."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from samples import TEXT, Greedy, Pairs, made, slow_if, small_config

from lexitok import config as C
from lexitok.data.aligned_streams import cut_together
from lexitok.data.batch import Batch, Budget
from lexitok.data.encoders import Encoder
from lexitok.data.layout import Piece
from lexitok.data.rows import pack_rows
from lexitok.distill.beginnings import beginnings
from lexitok.distill.losses import make_loss
from lexitok.distill.pair import Pair, Side
from lexitok.models.read_batch import hidden_width
from lexitok.ops.read_out import Query
from lexitok.text.alignment import classes_of
from lexitok.text.vocabulary import Vocabulary

DOCUMENTS = (
    (TEXT[:40], b"the inner ocean"),
    (TEXT[30:76], b""),
    (b"a\n\nb", b"er in 123"),
    ("ö世界 pack".encode(), b"x"),
)


class Others(Greedy):
    """Other tokens than those of `Pairs`, numbered another way, with other specials."""

    def __init__(self):
        longer = (b"th", b"e ", b"er", b"ack", b" in", b"\xc3\xb6", b"12", b" jugs", b"Pa")
        tokens = (*longer, *(bytes([255 - b]) for b in range(256)), b"", b"")
        V = len(tokens)
        super().__init__(Vocabulary(tokens, frozenset((V - 2, V - 1)), bos=V - 2, eot=V - 1, pad=V - 1))


# One of each kind, and what settings change most.
LOSSES = {
    "next_symbol": C.distillation().losses.next_symbol,
    "alm": C.alm(),
    "alm of tokens": C.alm(outcome="tokens", threshold=0.0, per="token"),
    "one_to_one": C.one_to_one(),
    "one_to_one of all": C.one_to_one(top_k=0, divergence="jensen_shannon", temperature=2.0, chunk=7),
    "projected": C.projected(temperature=2.0),
    "projected by a matrix that learns": C.projected(learn=True),
    "hybrid": C.hybrid(),
    "gold": C.gold(),
    "simct": C.simct(),
    "byte_prefix": C.byte_prefix(),
    "byte_prefix but white space": C.byte_prefix(mask_whitespace=True, divergence="jensen_shannon", chunk=9),
    "mined": C.mined(),
    "dskd": C.dskd(),
    "uld": C.uld(),
    "hidden_states": C.hidden_states(),
    "hidden_states of a matrix": C.hidden_states(project=True),
}

COVERING = (  # what the others do they do too
    *("alm", "one_to_one of all", "projected", "hybrid", "gold", "byte_prefix", "mined", "dskd"),
    "hidden_states of a matrix",
)
OTHERS = tuple(name for name in LOSSES if name not in COVERING)
# Losses that are compiled as one program: to compile each for itself takes three times as long.
TOGETHER = slow_if(lambda names: names == OTHERS, [COVERING, OTHERS])

TOKENIZERS = {"pairs": Pairs, "others": Others}


@functools.cache
def model_of(kind: str, seed: int = 0) -> tuple[Any, Encoder]:
    """A model of bytes, of tokens (`pairs`, `others`) or of bytes in units, and its encoder."""
    c = small_config("bytes" if kind in TOKENIZERS else kind)
    if kind in TOKENIZERS:
        c.text.kind = "subword"
    model, encoder = made(c, TOKENIZERS[kind]() if kind in TOKENIZERS else None)
    return jax.tree.map(lambda x: jnp.roll(x, seed, 0) if x.ndim > 1 else x, model), encoder


def aligned_batch(student: Encoder, teacher: Encoder, documents: Sequence[Sequence[bytes]] = DOCUMENTS) -> Batch:
    """Rows of documents in both tokenisations."""
    budgets = Budget.of(student, 128, 64), Budget.of(teacher, 128, 64)
    classes = classes_of(student.vocabulary), classes_of(teacher.vocabulary)

    def pieces(text: bytes) -> list[Piece]:
        return cut_together((student.encode(text), teacher.encode(text)), budgets, classes)

    rows = [[piece for text in row for piece in pieces(text)] for row in documents]
    first, *others = budgets
    packed = pack_rows(rows, symbols=first.S, units=first.W, pad=first.pad, others=others)
    return jax.tree.map(jnp.asarray, packed)


def pair_of(
    student: Any,
    teacher: Any,
    batch: Batch,
    encoders: tuple[Encoder, Encoder],
    dtype: Any = jnp.float32,
    at: Any = None,
) -> Pair:
    """Both models on the batch, with hidden states of a dtype; or the student with other states and another table."""
    groups = [jnp.asarray(beginnings(encoder.vocabulary)) for encoder in encoders]
    queries = [Query(group_of_V=group, groups=2, chunk=48) for group in groups]
    reads = student.read(batch), teacher.read(Batch(batch.others[0].tokens, batch.seeds_B))
    ours, theirs = (dataclasses.replace(read, hidden_BxSxD=read.hidden_BxSxD.astype(dtype)) for read in reads)
    if at is not None:
        ours = dataclasses.replace(ours, hidden_BxSxD=at[0], bound=dataclasses.replace(ours.bound, table_VxD=at[1]))
    spans = batch.others[0].alignment.spans
    teacher = Side.of_model(theirs, queries[1], batch.others[0].alignment.of_second_BxT, spans)
    teacher = dataclasses.replace(teacher, found=jax.lax.stop_gradient(teacher.found))
    return Pair(Side.of_model(ours, queries[0], batch.others[0].alignment.of_first_BxS, spans), teacher)


def states_of(model: Any, batch: Batch) -> tuple[Any, Any]:
    """What a model's logits are made of: its hidden states, and the table through which symbols leave."""
    read = model.read(batch)
    return read.hidden_BxSxD, read.bound.table_VxD


def parameters_of(loss: Any, student: Any, teacher: Any) -> Any:
    """What a loss learns beside the student, at first."""
    make = loss.parameters
    if make is None:
        return None
    return make(nnx.Rngs(params=jax.random.key(0)), hidden_width(student), hidden_width(teacher))


def losses_and_gradients(
    losses: Mapping[str, Any], student: Any, teacher: Any, batch: Batch, encoders: Any
) -> dict[str, tuple[Any, Any]]:
    """By name, the mean that a loss comes to, and its gradient by `states_of` the student: one program for all."""
    return program_of(losses, student, teacher, encoders)(student, teacher, batch)


def values_of(losses: Mapping[str, Any], student: Any, teacher: Any, batch: Batch, encoders: Any) -> dict[str, Any]:
    """By name, the mean that a loss comes to: one program for all of them."""
    parameters = {name: parameters_of(loss, student, teacher) for name, loss in losses.items()}

    @jax.jit
    def means(student: Any, teacher: Any, batch: Batch) -> Any:
        pair = pair_of(student, teacher, batch, encoders)
        return {name: loss(pair, parameters[name]).mean for name, loss in losses.items()}

    return jax.device_get(means(student, teacher, batch))


def program_of(losses: Mapping[str, Any], student: Any, teacher: Any, encoders: Any) -> Callable[..., dict[str, Any]]:
    """What `losses_and_gradients` calls, of models like these; compiled once. It may move the student's states."""
    parameters = {name: parameters_of(loss, student, teacher) for name, loss in losses.items()}

    @jax.jit
    def both(student: Any, teacher: Any, batch: Batch, moved: Any) -> tuple[Any, Any]:
        def means(at: Any) -> Any:
            pair = pair_of(student, teacher, batch, encoders, at=at)
            return jnp.stack([loss(pair, parameters[name]).mean for name, loss in losses.items()])

        at = jax.tree.map(jnp.add, states_of(student, batch), moved)
        return means(at), jax.jacrev(means)(at)

    def found(student: Any, teacher: Any, batch: Batch, moved: Any = (0.0, 0.0)) -> dict[str, Any]:
        values, gradients = jax.device_get(both(student, teacher, batch, moved))
        return {name: (values[i], jax.tree.map(lambda x, i=i: x[i], gradients)) for i, name in enumerate(losses)}

    return found


def made_losses(names: Sequence[str], encoders: Any) -> dict[str, Any]:
    """Some of `LOSSES`."""
    return {name: make_loss(LOSSES[name], *encoders) for name in names}
