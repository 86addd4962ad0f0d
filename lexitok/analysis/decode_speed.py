"""How fast a model writes: bytes a second through its caches, and without them."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lexitok.data.batch import Batch
from lexitok.data.encoders import Encoder
from lexitok.data.layout import make_piece
from lexitok.data.rows import pack_rows
from lexitok.inference.decoder import Decoder, positions_of
from lexitok.inference.sampling import Sampling, draw, row_keys, step_keys


@dataclasses.dataclass(frozen=True)
class DecodeSpeed:
    """Bytes a second of all rows together.

    Attributes:
      rows: texts that are written at once.
      cached: as `generate` does it, one symbol of each row after another.
      uncached: with a full forward pass for each symbol; None: not measured.
    """

    rows: int
    cached: float
    uncached: float | None


def decode_speed(
    model: Any,
    encoder: Encoder,
    text: bytes,
    *,
    rows: int = 1,
    prompt: int = 256,
    write: int = 256,
    uncached: int = 0,
) -> DecodeSpeed:
    """Measures a model on a text that it is made to write: units end where the text's own do, whatever the weights.

    Every symbol is drawn from the model's distribution as in generation, and then replaced by the text's.

    Args:
      model, encoder: as for `generate`.
      text: bytes, `rows + prompt + 2 * write` at least; each row begins one byte further on.
      rows: texts that are written at once.
      prompt: bytes that are read before, in chunks; not timed.
      write: bytes that are written and timed, after as many again that warm up what is compiled.
      uncached: symbols to time without caches; 0: none.

    Raises:
      ValueError: the text is too short.
    """
    needed = rows + prompt + 2 * write
    if len(text) < needed:
        raise ValueError(f"the text has {len(text)} bytes, and {needed} are needed")
    symbols = [_symbols(encoder, text[row : row + prompt + 2 * write]) for row in range(rows)]
    cached = _cached(model, encoder, symbols, prompt)
    without = _uncached(model, encoder, symbols, uncached) if uncached else None
    return DecodeSpeed(rows, cached, without)


def _symbols(encoder: Encoder, text: bytes) -> list[int]:
    document = encoder.encode(text)
    return [document.bos, *document.symbols[document.predicted][:-1].tolist()]


def _cached(model: Any, encoder: Encoder, symbols: Sequence[list[int]], prompt: int) -> float:
    lengths = encoder.vocabulary.lengths
    decoder = Decoder(model, encoder, len(symbols), max(positions_of(encoder, row) for row in symbols))
    starts = [int(np.searchsorted(np.cumsum(lengths[row]), prompt)) + 1 for row in symbols]
    decoder.read([row[:start] for row, start in zip(symbols, starts, strict=True)])
    keys, allowed = row_keys(0, len(symbols)), jnp.ones((len(symbols), decoder.logits_BxV.shape[1]), bool)
    steps = min(len(row) - start for row, start in zip(symbols, starts, strict=True))
    began, written = 0.0, 0
    for step in range(steps):
        if step == steps // 2:  # what came before was to compile
            began, written = time.perf_counter(), 0
        steps_B = jax.device_put(np.full(len(symbols), step, np.int32))
        drawn = draw(decoder.logits_BxV, allowed, step_keys(keys, steps_B), Sampling(1.0, 0, 1.0))
        jax.device_get(drawn)
        new = [row[start + step] for row, start in zip(symbols, starts, strict=True)]
        decoder.read([[symbol] for symbol in new])
        written += int(lengths[new].sum())
    jax.block_until_ready(decoder.logits_BxV)
    return written / (time.perf_counter() - began)


def _uncached(model: Any, encoder: Encoder, symbols: Sequence[list[int]], count: int) -> float:
    """A forward pass over all that is there for each symbol, in rows of one length, as long as the cached ones.

    There is room for just the units of the text; where the model finds them, for as many as there are symbols.
    """
    lengths = encoder.vocabulary.lengths
    document = encoder.encode(encoder.decode(symbols[0]))
    width = len(document)
    piece = make_piece(document, 0, width)
    units = (piece.units or width) if encoder.rule.has_units else None
    batch = pack_rows([[piece]] * len(symbols), symbols=width, units=units, pad=encoder.vocabulary.pad)
    batch = jax.tree.map(jnp.asarray, batch)
    jax.block_until_ready(_last_logits(model, batch))
    began = time.perf_counter()
    for _ in range(count):
        np.asarray(_last_logits(model, batch))
    seconds = time.perf_counter() - began
    each = float(np.mean(lengths[symbols[0][1:]]))  # bytes of a symbol
    return count * each * len(symbols) / seconds


@jax.jit
def _last_logits(model: Any, batch: Batch) -> jax.Array:
    return model.interface.bind(batch.seeds_B).logits(model.features(batch)["hidden"][:, -1:])
