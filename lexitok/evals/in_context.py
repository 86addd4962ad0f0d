"""Two tasks that can be solved from the prompt alone: to look a value up, and to go on with a permutation.

After the synthetic tasks of arXiv 2305.16349, section 4; the prompts are ours. They are made of symbols that are
frequent in a text, so that a model with learned vectors knows them; two more, an arrow and a separator, have fixed
places. A prompt is read from `bos` on:

    LookUp, n pairs:            k1 → v1 ; k2 → v2 ; … kn → vn ; ki →                answer: vi
    Permutation, m examples:    abcd → bdca ; efgh → fhge ; … ijkl →                answer: jlki

In LookUp all keys and values of a prompt are different symbols. In Permutation one permutation, not the identity, holds
for a prompt; the symbols of an example are different, and drawn anew for each. An answer symbol is right if no other
symbol of the vocabulary is more likely, the answer before it given.
"""

import dataclasses
from collections.abc import Callable, Sequence
from math import factorial
from typing import Any

import numpy as np

from lexitok.data.encoders import Encoder
from lexitok.evals.scoring import scorer
from lexitok.evals.text_rows import ProbeError, over_rows


@dataclasses.dataclass(frozen=True)
class PromptSymbols:
    """What prompts are made of.

    Attributes:
      content: int32 `[n]`, keys, values and what is permuted.
      arrow, separator: with fixed places.
    """

    content: np.ndarray
    arrow: int
    separator: int


@dataclasses.dataclass(frozen=True)
class TaskScores:
    """A task with ever more shown in the prompt: float64 `[n]` each, unless said otherwise.

    Attributes:
      shown: int64 `[n]`, pairs or examples in the prompt.
      accuracy: of answer symbols, each given those before it; `error`: its standard error over prompts.
      whole: prompts all of whose answer symbols are right; `whole_error`: its standard error.
      nats: of an answer symbol, the mean.
      chance: accuracy of guessing among the values shown, or among the symbols of the query that are not yet written.
      whole_chance: the same for the whole answer.
      prompts: how many, for each of `shown`.
    """

    shown: np.ndarray
    accuracy: np.ndarray
    error: np.ndarray
    whole: np.ndarray
    whole_error: np.ndarray
    nats: np.ndarray
    chance: np.ndarray
    whole_chance: np.ndarray
    prompts: int


def frequent_symbols(encoder: Encoder, documents: Sequence[bytes], count: int = 64) -> PromptSymbols:
    """The most frequent symbols of documents: the first is the separator, the second the arrow, then come `count` more.

    Raises:
      ProbeError: the documents do not hold so many.
    """
    seen = np.zeros(encoder.vocabulary.size, np.int64)
    for number, data in enumerate(documents):
        seen += np.bincount(encoder.encode(data, f"document {number}").symbols, minlength=len(seen))
    seen[sorted(encoder.vocabulary.specials)] = 0
    ranked = np.argsort(-seen, kind="stable")[: np.count_nonzero(seen)].astype(np.int32)
    if len(ranked) < count + 2:
        raise ProbeError(f"the text has {len(ranked)} different symbols, and {count + 2} are asked for: take more text")
    return PromptSymbols(ranked[2 : count + 2], arrow=int(ranked[1]), separator=int(ranked[0]))


def look_up_prompts(symbols: PromptSymbols, pairs: int, prompts: int, rng: np.random.Generator) -> np.ndarray:
    """int32 `[prompts, 4 pairs + 3]`: LookUp prompts, the answer at the end.

    Raises:
      ProbeError: there are not enough symbols.
    """
    drawn = _distinct(symbols.content, 2 * pairs, prompts, rng).reshape(prompts, 2, pairs)
    arrow, separator = (np.full((prompts, pairs), x, np.int32) for x in (symbols.arrow, symbols.separator))
    shown = np.stack([drawn[:, 0], arrow, drawn[:, 1], separator], axis=2).reshape(prompts, 4 * pairs)
    asked = rng.integers(0, pairs, (prompts, 1))
    key, value = (np.take_along_axis(drawn[:, i], asked, axis=1) for i in (0, 1))
    return np.concatenate([shown, key, arrow[:, :1], value], axis=1)


def permutation_prompts(
    symbols: PromptSymbols, size: int, examples: int, prompts: int, rng: np.random.Generator
) -> np.ndarray:
    """int32 `[prompts, examples (2 size + 2) + 2 size + 1]`: Permutation prompts, the answer at the end.

    Raises:
      ProbeError: there are not enough symbols, or there is nothing to permute.
    """
    if size < 2:
        raise ProbeError(f"a permutation of {size} symbols is the identity: take 2 at least")
    rows = prompts * (examples + 1)
    plain = _distinct(symbols.content, size, rows, rng).reshape(prompts, examples + 1, size)
    order = np.stack([_not_identity(size, rng) for _ in range(prompts)])
    permuted = np.take_along_axis(plain, np.broadcast_to(order[:, None], plain.shape), axis=2)
    arrow, separator = (np.full((*plain.shape[:2], 1), x, np.int32) for x in (symbols.arrow, symbols.separator))
    whole = np.concatenate([plain, arrow, permuted, separator], axis=2)
    return whole.reshape(prompts, -1)[:, :-1]


def look_up(
    model: Any,
    encoder: Encoder,
    symbols: PromptSymbols,
    *,
    pairs: Sequence[int] = (1, 2, 4, 8, 16),
    prompts: int = 256,
    rows: int = 64,
    seed: int = 0,
) -> TaskScores:
    """LookUp with these numbers of pairs; the same seed gives the same prompts.

    Args:
      model: has `read_out(batch, query)`.
      encoder: of a `TokenLM`.
      symbols: that prompts are made of.
      pairs: in a prompt.
      prompts: for each number of pairs.
      rows: of a batch.
      seed: of the prompts, and of what the model draws.

    Raises:
      ProbeError: there are not enough symbols, or the model has units of several symbols.
    """
    rng = np.random.default_rng((seed, 0))
    made = [look_up_prompts(symbols, n, prompts, rng) for n in pairs]
    return _scores(model, encoder, pairs, made, 1, lambda n: (1 / n, 1 / n), rows=rows, seed=seed)


def permute(
    model: Any,
    encoder: Encoder,
    symbols: PromptSymbols,
    *,
    size: int = 4,
    examples: Sequence[int] = (1, 2, 4, 8),
    prompts: int = 256,
    rows: int = 64,
    seed: int = 0,
) -> TaskScores:
    """Permutation of `size` symbols with these numbers of examples; arguments and errors as of `look_up`."""
    rng = np.random.default_rng((seed, 1))
    made = [permutation_prompts(symbols, size, n, prompts, rng) for n in examples]
    chance = sum(1 / left for left in range(1, size + 1)) / size, 1 / factorial(size)
    return _scores(model, encoder, examples, made, size, lambda _: chance, rows=rows, seed=seed)


def _scores(
    model: Any,
    encoder: Encoder,
    shown: Sequence[int],
    made: Sequence[np.ndarray],
    answer: int,
    chance: Callable[[int], tuple[float, float]],
    *,
    rows: int,
    seed: int,
) -> TaskScores:
    """Scores of prompts whose last `answer` symbols are the answer, in batches of one shape."""
    if encoder.rule.has_units:
        raise ProbeError(f"prompts are of symbols; this model has units of them (text.kind '{encoder.kind}')")
    S, score = max(prompts.shape[1] for prompts in made), scorer()
    parts = []
    for prompts in made:
        filled = np.pad(prompts, ((0, 0), (0, S - prompts.shape[1])), constant_values=encoder.vocabulary.pad)
        nats, right = over_rows(lambda batch: score(model, batch)[:2], filled, encoder.vocabulary, rows=rows, seed=seed)
        at = slice(prompts.shape[1] - answer, prompts.shape[1])
        parts.append((right[:, at].mean(1), right[:, at].all(1).astype(np.float64), nats[:, at].mean(1)))
    right, whole, nats = (np.stack(part).astype(np.float64) for part in zip(*parts, strict=True))
    chances = np.array([chance(n) for n in shown], np.float64)
    n = right.shape[1]
    return TaskScores(
        shown=np.array(shown, np.int64),
        accuracy=right.mean(1),
        error=right.std(1) / n**0.5,
        whole=whole.mean(1),
        whole_error=whole.std(1) / n**0.5,
        nats=nats.mean(1),
        chance=chances[:, 0],
        whole_chance=chances[:, 1],
        prompts=n,
    )


def _distinct(content: np.ndarray, count: int, rows: int, rng: np.random.Generator) -> np.ndarray:
    """int32 `[rows, count]`: symbols that are different in each row."""
    if count > len(content):
        raise ProbeError(f"a prompt needs {count} different symbols, and there are {len(content)}: take more of them")
    return content[rng.permuted(np.tile(np.arange(len(content)), (rows, 1)), axis=1)[:, :count]]


def _not_identity(size: int, rng: np.random.Generator) -> np.ndarray:
    while True:
        order = rng.permutation(size)
        if (order != np.arange(size)).any():
            return order
