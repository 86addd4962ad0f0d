"""What a model's layers make of its symbols: the residual stream after each of them, at each symbol or on the mean.

Models with fixed codes have to build in their first layers what others have in a table: how near their symbols are to
each other there is compared with a learned table, and how long the code itself can still be read.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lexitok.data.batch import Batch
from lexitok.data.encoders import Encoder
from lexitok.data.placement import put_batch
from lexitok.evals.bit_probe import BitAccuracy, bit_probe, held_out
from lexitok.evals.text_rows import ProbeError, Stretches, row_batches
from lexitok.interfaces.binary import id_bits


@dataclasses.dataclass(frozen=True)
class Occurrences:
    """Streams at `n` places of a text.

    Attributes:
      ids: int32 `[n]`, the symbol that was read there.
      rows: int64 `[n]`, the row of each.
      streams: float32 `[L + 1, n, D]`, before the first block and after each.
    """

    ids: np.ndarray
    rows: np.ndarray
    streams: np.ndarray


@dataclasses.dataclass(frozen=True)
class LayerBits:
    """What a linear probe finds of the bits of symbols' ids, by layer (`[L + 1, ...]`; see `BitAccuracy`).

    Attributes:
      bits: float64 `[L + 1, K]`.
      exact: float64 `[L + 1]`.
      majority: float64 `[K]`.
    """

    bits: np.ndarray
    exact: np.ndarray
    majority: np.ndarray


@dataclasses.dataclass(frozen=True)
class MeanStreams:
    """The mean stream of each of `v` symbols over its places in a text.

    Attributes:
      ids: int64 `[v]`, ascending.
      counts: int64 `[v]`, places of each.
      vectors: float32 `[L + 1, v, D]`.
    """

    ids: np.ndarray
    counts: np.ndarray
    vectors: np.ndarray


@dataclasses.dataclass(frozen=True)
class Overlap:
    """How many of the nearest neighbours of symbols are the same as in a reference, by layer.

    Attributes:
      mean: float64 `[L + 1]`, fraction of the `k` neighbours, the mean over symbols.
      error: float64 `[L + 1]`, its standard error over symbols.
      chance: the fraction where neighbours are drawn at random. That frequent symbols are near each other is enough
        to be above it.
    """

    mean: np.ndarray
    error: np.ndarray
    chance: float


def occurrences(
    model: Any, encoder: Encoder, text: Stretches, *, rows: int, most: int = 64, seed: int = 0
) -> Occurrences:
    """Streams at up to `most` places of each symbol, drawn from all, so that frequent symbols do not outweigh the rest.

    Args:
      model: a `TokenLM`.
      encoder: of its text.
      text: stretches of it.
      rows: of a batch.
      most: places of a symbol.
      seed: of the draw, and of what the model draws.
    """
    chosen = _choose(text.symbols[:, :-1], most, seed)
    ids, numbers, streams, done = [], [], [], 0
    for batch, filled in row_batches(text.symbols, encoder.vocabulary, rows=rows, seed=seed):
        # Position t has read symbol t - 1, and the first one `bos`.
        row, column = np.nonzero(chosen[done : done + filled])
        found = jax.device_get(_streams(model, put_batch(batch)))
        ids.append(text.symbols[done + row, column])
        numbers.append(done + row)
        streams.append(found[:, row, column + 1])
        done += filled
    return Occurrences(np.concatenate(ids), np.concatenate(numbers), np.concatenate(streams, axis=1))


def bits_by_layer(found: Occurrences, V: int, *, new: str, ridge: float = 1e-3, seed: int = 0) -> LayerBits:
    """A linear probe for the bits of the symbols' ids after each layer.

    Args:
      found: streams.
      V: symbols.
      new: what the probe is tested on, a fifth of all, and has not seen in training: `rows`, of the same symbols, as
        a rule (a row is on one side, for in it a lexinvariant model has given each symbol one vector), or `symbols`.
      ridge: as of `lexitok.evals.bit_probe.bit_probe`.
      seed: of what is held out.

    Raises:
      ProbeError: `new` is something else, or there is only one row or symbol.
    """
    groups = {"rows": found.rows, "symbols": found.ids}
    if new not in groups:
        raise ProbeError(f"a probe is tested on new {' or '.join(groups)}, not on new '{new}'")
    tested = held_out(groups[new], seed=seed)
    each: list[BitAccuracy] = [bit_probe(x, found.ids, id_bits(V), tested, ridge=ridge) for x in found.streams]
    return LayerBits(np.stack([a.bits for a in each]), np.array([a.exact for a in each]), each[0].majority)


def mean_streams(
    model: Any, encoder: Encoder, text: Stretches, *, rows: int, least: int = 10, seed: int = 0
) -> MeanStreams:
    """The mean stream of each symbol that stands at `least` places at least; arguments as of `occurrences`.

    Raises:
      ProbeError: no symbol is so frequent.
    """
    V = encoder.vocabulary.size
    counts = np.bincount(text.symbols[:, :-1].reshape(-1), minlength=V)
    ids = np.flatnonzero(counts >= max(least, 1))
    if not len(ids):
        raise ProbeError(f"no symbol stands at {least} places of the text: take more text, or fewer places")
    sums = None
    for batch, _ in row_batches(text.symbols, encoder.vocabulary, rows=rows, seed=seed):
        held = put_batch(batch)
        if sums is None:
            like = jax.eval_shape(_streams, model, held)
            sums = jnp.zeros((like.shape[0], V, like.shape[-1]), jnp.float32)
        sums = _add_streams(sums, model, held)
    assert sums is not None  # there are symbols, so there are rows
    means = np.asarray(jax.device_get(sums))[:, ids] / counts[ids].astype(np.float32)[None, :, None]
    return MeanStreams(ids, counts[ids], means)


def nearest(vectors_VxD: np.ndarray, k: int) -> np.ndarray:
    """int64 `[V, k]`: the nearest others of each vector by cosine, the nearest first; the mean is taken off before.

    Raises:
      ProbeError: there are not so many others.
    """
    if not 1 <= k < len(vectors_VxD):
        raise ProbeError(f"{k} neighbours of each of {len(vectors_VxD)} symbols: there are not so many others")
    centred = vectors_VxD.astype(np.float64) - vectors_VxD.mean(0)
    directions = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-30)
    cosines = directions @ directions.T
    np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines, axis=1, kind="stable")[:, :k]


def overlap_by_layer(streams: MeanStreams, reference: MeanStreams, *, k: int = 10, reference_layer: int = 0) -> Overlap:
    """How near symbols' neighbourhoods after each layer are to those of a reference.

    Args:
      streams: of the model.
      reference: of another, on the same text. What enters its first layer (`reference_layer=0`) is its learned table,
        if it has one.
      k: neighbours.
      reference_layer: of the reference.

    Raises:
      ProbeError: the two are not of the same symbols, there are too few of them, or there is no such layer.
    """
    if not (np.array_equal(streams.ids, reference.ids) and np.array_equal(streams.counts, reference.counts)):
        raise ProbeError("neighbours are compared between models that read the same symbols of the same text")
    if not 0 <= reference_layer < len(reference.vectors):
        raise ProbeError(f"the reference has layers 0 to {len(reference.vectors) - 1}, and no {reference_layer}")
    wanted = nearest(reference.vectors[reference_layer], k)
    same = np.stack([_shared(nearest(layer, k), wanted) for layer in streams.vectors])
    v = len(streams.ids)
    return Overlap(same.mean(1), same.std(1) / v**0.5, k / (v - 1))


def _shared(a_VxK: np.ndarray, b_VxK: np.ndarray) -> np.ndarray:
    return (a_VxK[:, :, None] == b_VxK[:, None, :]).any(2).mean(1)


def _choose(symbols_NxT: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Bool `[N, T]`: up to `most` places of each symbol."""
    order = np.random.default_rng(seed).permutation(symbols_NxT.size)
    drawn = symbols_NxT.reshape(-1)[order]
    by_symbol = np.argsort(drawn, kind="stable")
    starts = np.searchsorted(drawn[by_symbol], drawn[by_symbol])  # where the places of the same symbol begin
    out = np.zeros(symbols_NxT.size, bool)
    out[order[by_symbol[np.arange(len(drawn)) - starts < most]]] = True
    return out.reshape(symbols_NxT.shape)


@jax.jit
def _streams(model: Any, batch: Batch) -> Float[Array, "layers B S D"]:
    return model.streams(batch).astype(jnp.float32)


@jax.jit
def _add_streams(sums_LxVxD: Float[Array, "layers V D"], model: Any, batch: Batch) -> Float[Array, "layers V D"]:
    streams = model.streams(batch).astype(jnp.float32)
    ids = batch.tokens.symbols_BxS.reshape(-1)  # those of `bos` and padding are in no text
    return sums_LxVxD.at[:, ids].add(streams.reshape(streams.shape[0], -1, streams.shape[-1]))
