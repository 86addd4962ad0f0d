"""How much of what a draft model proposes its target accepts: what speculative decoding with the two would gain.

A target checks tokens that a smaller model of the same tokens has drafted, and keeps those of a prefix so that its own
distribution is kept (Leviathan et al., arXiv 2211.17192). A token drafted from `q` is kept with probability
`sum_v min(p_v, q_v)`, where `p` is the target's distribution. Here both read a given text: the numbers say what would
be kept there.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jaxtyping import Array, Float

from lexitok.data.batch import Batch
from lexitok.data.encoders import Encoder
from lexitok.data.placement import put_batch
from lexitok.data.windows import eval_batches
from lexitok.evals.evaluate import EvaluationError
from lexitok.ops.read_out.positions import cut, joined
from lexitok.sharding import replicated


@dataclasses.dataclass(frozen=True)
class Acceptance:
    """What a target keeps of a draft.

    Attributes:
      sampled: of a token that is drawn from the draft model, the probability that it is kept; the mean over positions.
      greedy: positions at which both models' likeliest tokens are the same.
      lengths: by how many tokens are drafted at once, the tokens that a call of the target gives, its own next one
        among them; the mean over all places of the text to start from.
      positions: at which it was measured.
    """

    sampled: float
    greedy: float
    lengths: dict[int, float]
    positions: int


def acceptance(
    draft: Any,
    target: Any,
    encoder: Encoder,
    documents: Sequence[bytes],
    *,
    rows: int,
    symbols: int,
    overlap: float = 0.5,
    drafted: Sequence[int] = (1, 2, 4, 8),
    chunk: int = 64,
) -> Acceptance:
    """What the target keeps of a draft on given documents.

    Args:
      draft, target: token models of the same ids; their tables may have further rows, which must never be used.
      encoder: of the target's tokenizer.
      documents: raw bytes.
      rows, symbols, overlap: of windows, as of `lexitok.evals.evaluate`.
      drafted: tokens that are drafted at once.
      chunk: positions of a row whose probabilities are held at once.

    Raises:
      EvaluationError: a model reads other symbols, its table has rows for fewer ids than the encoder, or the documents
        have fewer symbols than are drafted at once.
    """
    V = encoder.vocabulary.size
    for name, model in (("draft", draft), ("target", target)):
        if encoder.kind not in model.kinds_of_text or model.interface.vocabulary_size < V:
            raise EvaluationError(f"the {name} model is no model of the encoder's {V} tokens")
    if any(count < 1 for count in drafted):
        raise EvaluationError(f"{min(drafted)} tokens are to be drafted at once; it is 1 or more")
    kept = functools.partial(_kept(replicated()), V=V, chunk=chunk)
    batches = eval_batches(documents, encoder, rows=rows, symbols=symbols, units=1, overlap=overlap)
    found = [np.stack(each) for each in _by_document(kept, draft, target, batches)]
    sampled, greedy = np.concatenate([*found, np.zeros((2, 0))], axis=1)
    if not len(sampled):
        raise EvaluationError("the documents hold nothing to draft")
    lengths = {count: _mean_length([each[0] for each in found], count) for count in drafted}
    return Acceptance(float(sampled.mean()), float(greedy.mean()), lengths, len(sampled))


def _mean_length(kept_of_documents: Sequence[np.ndarray], drafted: int) -> float:
    """Tokens of a call: its own, and each drafted one if it and all before it are kept."""
    total, starts = 0.0, 0
    for kept in kept_of_documents:
        if len(kept) >= drafted:
            windows = np.lib.stride_tricks.sliding_window_view(kept, drafted)
            total += float(np.cumprod(windows, axis=1).sum()) + len(windows)
            starts += len(windows)
    if not starts:
        raise EvaluationError(f"no document has the {drafted} symbols that are to be drafted at once")
    return total / starts


def _by_document(kept: Any, draft: Any, target: Any, batches: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    number, parts = 0, []
    for batch, ranges in batches:
        of_batch = [np.asarray(x, np.float64) for x in jax.device_get(kept(draft, target, put_batch(batch)))]
        for scored in ranges:
            if scored.document != number and parts:
                yield _joined(parts)
                parts = []
            number = scored.document
            at = (scored.row, slice(scored.column, scored.column + scored.length))
            parts.append([x[at] for x in of_batch])
    if parts:
        yield _joined(parts)


def _joined(parts: list[list[np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    sampled, greedy = (np.concatenate(each) for each in zip(*parts, strict=True))
    if not math.isfinite(float(sampled.sum())):
        raise EvaluationError("a model gives no probabilities: its parameters are broken, or its activations overflow")
    return sampled, greedy


@functools.cache
def _kept(out: NamedSharding | None) -> Any:
    """The jitted function; one for each mesh."""

    @functools.partial(jax.jit, static_argnames=("V", "chunk"), out_shardings=out)
    def kept(draft: Any, target: Any, batch: Batch, *, V: int, chunk: int) -> tuple[Array, Array]:
        """At each position `[B, S]`: the probability that a drawn token is kept, and whether the likeliest is."""
        models = (draft, target)
        bounds = [model.interface.bind(batch.seeds_B, batch.vocabulary) for model in models]
        hidden = cut([model.features(batch)["hidden"] for model in models], chunk)

        def of_chunk(h: list[Float[Array, "B C D"]]) -> tuple[Float[Array, "B C"], Array]:
            logits = [bound.logits(x)[..., :V] for bound, x in zip(bounds, h, strict=True)]
            q, p = (jax.nn.softmax(x, axis=-1) for x in logits)
            same = jnp.argmax(logits[0], axis=-1) == jnp.argmax(logits[1], axis=-1)
            return jnp.minimum(p, q).sum(axis=-1), same

        return joined(jax.lax.map(of_chunk, hidden), batch.tokens.symbols_BxS.shape[1])

    return kept
