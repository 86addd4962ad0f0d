"""Whether a model deciphers: it reads text in a substitution cipher, and a probe of its states names the true symbols.

Every row has a cipher of its own, a permutation of the symbols, so that nothing can be learned of any one cipher: what
a probe that was trained on some rows finds in others, the model has found in the row (arXiv 2305.16349, section 4).
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lexitok.data.batch import Batch
from lexitok.data.encoders import Encoder
from lexitok.evals.mlp_probe import Probe, fit
from lexitok.evals.text_rows import ProbeError, Stretches, over_rows, stretches
from lexitok.text.vocabulary import Vocabulary

CIPHERS = ("substitution", "identity")


@dataclasses.dataclass(frozen=True)
class Deciphering:
    """How well true symbols are named, in rows of documents that the probe was not trained on.

    Attributes:
      accuracy: float64 `[T]`; of the rows, those whose symbol number `t` is named from the state that has just read it
        (`t` symbols stand before it).
      key_symbols: the log-probabilities of all places of a cipher symbol in a row are added up; of all symbols of all
        rows, the fraction that is named right so.
      key_positions: the same, every symbol counted as often as it stands in its row.
      majority: accuracy of naming the most frequent symbol of the training rows everywhere.
      train_rows, test_rows: how many rows there were.
    """

    accuracy: np.ndarray
    key_symbols: float
    key_positions: float
    majority: float
    train_rows: int
    test_rows: int


def decipher(
    model: Any,
    encoder: Encoder,
    documents: Sequence[bytes],
    *,
    symbols: int,
    rows: int,
    each: int = 1,
    layer: int | None = None,
    cipher: str = "substitution",
    held_out: float = 0.2,
    seed: int = 0,
    **training: Any,
) -> Deciphering:
    """Trains a probe on the rows of some documents, and tests it on those of the others.

    Args:
      model: a `TokenLM`.
      encoder, documents, symbols, each: as of `lexitok.evals.text_rows.stretches`.
      rows: of a batch.
      layer: whose output the probe sees: 0 is what enters the first, 1 what leaves it; None: what the read-out sees.
      cipher: `substitution`, or `identity` (plain text, for comparison).
      held_out: fraction of the documents that the probe is tested on; at least one.
      seed: of the ciphers, of which documents are held out, of what the model draws, and of the probe.
      **training: of the probe: `steps`, `batch`, `lr` and `width` of `lexitok.evals.mlp_probe.fit`.

    Raises:
      ProbeError: no such layer or cipher, fewer than two documents are long enough, or as `stretches`.
    """
    text = stretches(encoder, documents, symbols, each=each)
    tested = _held_out(text, held_out, seed)
    vocabulary = encoder.vocabulary
    keys = make_ciphers(vocabulary, len(text), cipher=cipher, seed=seed)
    enciphered = np.take_along_axis(keys, text.symbols, axis=1)
    states = hidden_states(model, enciphered, vocabulary, rows=rows, layer=layer, seed=seed)
    # Position t has read symbol t - 1, and the first one `bos`.
    x, true, read = states[:, 1:], text.symbols[:, :-1], enciphered[:, :-1]
    D = x.shape[-1]
    probe = fit(x[~tested].reshape(-1, D), true[~tested].reshape(-1), vocabulary.size, seed=seed, **training)
    named, key_right = _name(probe, x[tested], true[tested], read[tested])
    most = np.bincount(true[~tested].reshape(-1)).argmax()
    return Deciphering(
        accuracy=(named == true[tested]).mean(0),
        key_symbols=float(np.mean([right for right, _ in key_right])),
        key_positions=float(np.average([right for right, _ in key_right], weights=[n for _, n in key_right])),
        majority=float((true[tested] == most).mean()),
        train_rows=int((~tested).sum()),
        test_rows=int(tested.sum()),
    )


def make_ciphers(vocabulary: Vocabulary, rows: int, *, cipher: str = "substitution", seed: int = 0) -> np.ndarray:
    """int32 `[rows, V]`: what each symbol becomes in each row; specials stay what they are.

    Raises:
      ProbeError: an unknown cipher.
    """
    if cipher not in CIPHERS:
        raise ProbeError(f"unknown cipher '{cipher}'; there are {', '.join(CIPHERS)}")
    keys = np.tile(np.arange(vocabulary.size, dtype=np.int32), (rows, 1))
    if cipher == "substitution":
        text = np.setdiff1d(np.arange(vocabulary.size, dtype=np.int32), sorted(vocabulary.specials))
        rng = np.random.default_rng(seed)
        for key in keys:
            key[text] = rng.permutation(text)
    return keys


def hidden_states(
    model: Any, symbols_NxS: np.ndarray, vocabulary: Vocabulary, *, rows: int, layer: int | None = None, seed: int = 0
) -> np.ndarray:
    """float32 `[N, S, D]`: what a model holds at each position of rows.

    Args:
      model: a `TokenLM`.
      symbols_NxS, vocabulary, rows, seed: as of `lexitok.evals.text_rows.row_batches`.
      layer: as of `decipher`.

    Raises:
      ProbeError: no such layer.
    """
    if layer is not None and not 0 <= layer <= model.backbone.c.L:
        raise ProbeError(f"there is no output of layer {layer}: the model has 0 to {model.backbone.c.L}")
    return over_rows(lambda batch: _states(model, batch, layer), symbols_NxS, vocabulary, rows=rows, seed=seed)


@functools.partial(jax.jit, static_argnums=2)
def _states(model: Any, batch: Batch, layer: int | None) -> Float[Array, "B S D"]:
    h = model.features(batch)["hidden"] if layer is None else model.streams(batch)[layer]
    return h.astype(jnp.float32)


def _held_out(text: Stretches, fraction: float, seed: int) -> np.ndarray:
    """Bool, a row each: it is of a document that the probe is tested on."""
    documents = np.unique(text.documents)
    if len(documents) < 2:
        raise ProbeError(
            "only one document is long enough, and a probe is tested on others than it was trained on: ask for fewer "
            "symbols, or for more text"
        )
    count = min(max(1, round(fraction * len(documents))), len(documents) - 1)
    return np.isin(text.documents, np.random.default_rng((seed, 1)).permutation(documents)[:count])


def _name(
    probe: Probe, x_NxTxD: np.ndarray, true_NxT: np.ndarray, read_NxT: np.ndarray
) -> tuple[np.ndarray, list[tuple[bool, int]]]:
    """The symbol named at each position, and of each cipher symbol of each row whether it is found, and how often it
    stands there."""
    named, key_right = np.empty_like(true_NxT), []
    for row, (x, true, read) in enumerate(zip(x_NxTxD, true_NxT, read_NxT, strict=True)):
        log_p = probe.log_p(x)
        named[row] = log_p.argmax(1)
        _, first, which, counts = np.unique(read, return_index=True, return_inverse=True, return_counts=True)
        together = np.zeros((len(counts), log_p.shape[1]), np.float64)
        np.add.at(together, which, log_p)
        key_right += zip((together.argmax(1) == true[first]).tolist(), counts.tolist(), strict=True)
    return named, key_right
