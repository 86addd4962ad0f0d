"""Aligning a batch, and ALM from spans beside ALM from dense masks (tokenkit's way), in one run.

python experiments/benchmarks/distillation.py --student=unigram16k.model --teacher=tokenizer.model.v1

Texts of `--source` are cut where tokens of both end, into `--rows` rows of `--symbols` tokens. Shown are milliseconds
of CPU time in which the tokens of all rows are aligned; and of ALM with its gradient, by the student's
log-probabilities of tokens, which are drawn at random: milliseconds of a step (medians and ranges, in turns), the
temporaries and arguments that the compiler says, and the values: they differ by the last chunks of pieces.
"""

import functools
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jaxtyping import Array
from peers.dense_alm import dense_alm

from lexitok.config import alm as alm_section
from lexitok.config import default_config
from lexitok.config.flags import run
from lexitok.data.batch import Batch, Tokenisation
from lexitok.data.encoders import SubwordEncoder
from lexitok.data.pipeline import batch_iterator
from lexitok.data.sources import open_source
from lexitok.distill.beginnings import BEGINS
from lexitok.distill.losses.alm import alm
from lexitok.distill.losses.divergences import binary_divergence
from lexitok.distill.pair import Pair, Side
from lexitok.ops.read_out import Reductions
from lexitok.text.alignment import TokenEnds, align, classes_of
from lexitok.text.tokenizer_files import load_tokenizer

STUDENT = flags.DEFINE_string("student", None, "File of the student's tokenizer.", required=True)
TEACHER = flags.DEFINE_string("teacher", None, "File of the teacher's tokenizer.", required=True)
SOURCE = flags.DEFINE_string("source", "stdlib", "Source of the text.")
ROWS = flags.DEFINE_integer("rows", 64, "Rows of a batch.", lower_bound=1)
SYMBOLS = flags.DEFINE_integer("symbols", 512, "Symbols of a row, of both.", lower_bound=1)
REPEATS = flags.DEFINE_integer("repeats", 9, "Times that each is timed, after two that are not.", lower_bound=1)
THRESHOLD, TEMPERATURE = 0.1, 5.0


def main() -> None:
    encoders = [SubwordEncoder(load_tokenizer(path)) for path in (STUDENT.value, TEACHER.value)]
    corpus = open_source(SOURCE.value, "train", cache=default_config().data.cache)
    second = Tokenisation(encoders[1], SYMBOLS.value, SYMBOLS.value)
    S = SYMBOLS.value
    made = batch_iterator(corpus, encoders[0], [second], rows=ROWS.value, symbols=S, units=S)
    batch = jax.tree.map(np.asarray, next(iter(made)))
    tokens = [int((side.weights_BxS > 0).sum()) for side in (batch.tokens, batch.others[0].tokens)]
    print(f"{ROWS.value} rows of {SYMBOLS.value}: {tokens[0]} tokens of the student, {tokens[1]} of the teacher")
    aligning = {"aligning them all": functools.partial(_align, _ends(batch, encoders))}
    print(*(f"{name}: {took}" for name, took in _in_turns(aligning, time.thread_time).items()))
    numbers = _numbers(batch)
    ways = {"spans": _of_spans(batch, numbers), "dense masks": _of_masks(batch, numbers)}
    compiled = {name: jax.jit(jax.value_and_grad(of)).lower(*given).compile() for name, (of, given) in ways.items()}
    values = {name: float(compiled[name](*ways[name][1])[0]) for name in ways}
    steps = {name: functools.partial(_step, compiled[name], given) for name, (_, given) in ways.items()}
    for name, took in _in_turns(steps, time.perf_counter).items():
        memory: Any = compiled[name].memory_analysis()
        sizes = (
            f"{memory.temp_size_in_bytes / 1e6:.1f} MB temporaries, {memory.argument_size_in_bytes / 1e6:.1f} MB given"
        )
        print(f"ALM from {name}: {took}; {sizes}; value {values[name]:.6f}")


def _step(compiled: Any, given: tuple[Any, ...]) -> None:
    jax.block_until_ready(compiled(*given))


def _in_turns(jobs: Mapping[str, Callable[[], None]], clock: Callable[[], float]) -> dict[str, str]:
    """Milliseconds of each job: the median and the range."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(REPEATS.value + 2):
        for name, job in jobs.items():
            began = clock()
            job()
            seconds[name].append(clock() - began)
    some = {name: sorted(1e3 * x for x in taken[2:]) for name, taken in seconds.items()}
    return {name: f"{statistics.median(x):.2f} ms ({x[0]:.2f} to {x[-1]:.2f})" for name, x in some.items()}


def _ends(batch: Batch, encoders: list[SubwordEncoder]) -> list[tuple[TokenEnds, TokenEnds]]:
    """Both tokenisations of each row."""
    sides = []
    for tokens, encoder in zip((batch.tokens, batch.others[0].tokens), encoders, strict=True):
        classes = classes_of(encoder.vocabulary)
        rows = []
        for targets, nbytes, weights in zip(tokens.targets_BxS, tokens.bytes_BxS, tokens.weights_BxS, strict=True):
            there = weights > 0
            rows.append(TokenEnds(np.cumsum(nbytes[there], dtype=np.int64), classes[targets[there]]))
        sides.append(rows)
    return list(zip(*sides, strict=True))


def _align(rows: list[tuple[TokenEnds, TokenEnds]]) -> None:
    for a, b in rows:
        align(a, b)


def _numbers(batch: Batch) -> dict[str, np.ndarray]:
    """Log-probabilities of all tokens, and log-masses of what begins something new behind each position."""
    rng = np.random.default_rng(0)
    shapes = {"student": batch.tokens.symbols_BxS.shape, "teacher": batch.others[0].tokens.symbols_BxS.shape}
    found = {}
    for name, shape in shapes.items():
        found[name] = -rng.exponential(2.0, shape).astype(np.float32)
        begins = np.log(rng.beta(0.3, 0.3, shape)).astype(np.float32)
        found[f"{name} begins"] = np.stack([np.log1p(-np.exp(np.minimum(begins, -1e-6))), begins], axis=-1)
    return found


def _of_spans(batch: Batch, numbers: dict[str, np.ndarray]) -> tuple[Callable[..., Array], tuple[Any, ...]]:
    loss = alm(alm_section(temperature=TEMPERATURE, threshold=THRESHOLD))

    def of(log_q_BxS: Array, log_p_BxT: Array, begins_q: Array, begins_p: Array, batch: Batch) -> Array:
        sides = []
        for log_p, mass, tokens, spans in (
            (log_q_BxS, begins_q, batch.tokens, batch.others[0].alignment.of_first_BxS),
            (log_p_BxT, begins_p, batch.others[0].tokens, batch.others[0].alignment.of_second_BxT),
        ):
            found = Reductions(nll_BxS=-log_p, log_mass_BxSxG=mass)
            sides.append(Side(tokens, found, spans, batch.others[0].alignment.spans))
        return loss.compare(Pair(*sides)).mean

    given = (numbers["student"], numbers["teacher"], numbers["student begins"], numbers["teacher begins"], batch)
    return of, jax.tree.map(jnp.asarray, given)


def _of_masks(batch: Batch, numbers: dict[str, np.ndarray]) -> tuple[Callable[..., Array], tuple[Any, ...]]:
    """The same, given the masks; what differs is what becomes of the last chunks of pieces."""
    of = functools.partial(dense_alm, divergence=binary_divergence("kl", TEMPERATURE), threshold=THRESHOLD)
    alignment, K = batch.others[0].alignment, batch.others[0].alignment.spans
    masks, begins = [], []
    sides = (("student", alignment.of_first_BxS), ("teacher", alignment.of_second_BxT))
    for name, of_BxS in sides:
        masks.append(of_BxS[..., None] == np.arange(K))
        last = np.where(masks[-1].any(1), masks[-1].shape[1] - 1 - masks[-1][:, ::-1].argmax(1), 0)
        after = np.minimum(last + 1, of_BxS.shape[1] - 1)
        begins.append(np.take_along_axis(numbers[f"{name} begins"][..., BEGINS], after, axis=1))
    given = (numbers["student"], numbers["teacher"], *masks, *begins)
    return of, jax.tree.map(jnp.asarray, given)


if __name__ == "__main__":
    run(main)
