"""The next symbol of every row of a decoder, drawn; and what a model writes, as symbols."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lexitok.data.batch import row_seeds
from lexitok.data.encoders import Encoder
from lexitok.inference.decoder import Decoder, positions_of
from lexitok.inference.sampling import NOT_FINITE, Sampling, draw, row_keys, step_keys


class Drawer:
    """Draws symbols for a decoder's rows. What a row gets follows from the seed, its number and how many it has got."""

    def __init__(self, decoder: Decoder, encoder: Encoder, sampling: Sampling, seed: int):
        self._decoder, self._rule, self._sampling = decoder, encoder.rule, sampling
        self._allowed = jnp.asarray(encoder.rule.allowed_next(encoder.vocabulary, decoder.logits_BxV.shape[1]))
        self._keys_B = row_keys(seed, len(decoder.cursors))
        self._drawn = 0

    def draw(self, wanted: Sequence[bool]) -> list[int]:
        """A symbol for each row.

        Args:
          wanted: the rows whose symbols are of use.

        Raises:
          FloatingPointError: the model's logits in one of these are not finite; names it.
        """
        cursors, rows = self._decoder.cursors, len(self._decoder.cursors)
        kinds = np.array([self._rule.room(cursor) for cursor in cursors], np.int32)
        steps, kinds = jax.device_put((np.full(rows, self._drawn, np.int32), kinds))
        self._drawn += 1
        allowed = self._allowed[kinds]
        drawn = draw(self._decoder.logits_BxV, allowed, step_keys(self._keys_B, steps), self._sampling)
        symbols = jax.device_get(drawn).tolist()  # the only thing that comes back from the device
        for row, (symbol, is_wanted) in enumerate(zip(symbols, wanted, strict=True)):
            if is_wanted and symbol == NOT_FINITE:
                raise FloatingPointError(
                    f"row {row}: the model's logits after {cursors[row].length} symbols are not finite; are its "
                    "parameters those of a run that diverged?"
                )
        return symbols


def write_symbols(
    model: Any,
    encoder: Encoder,
    read: Sequence[Sequence[int]],
    *,
    symbols: int,
    sampling: Sampling,
    seed: int = 0,
    chunk: int = 64,
) -> list[list[int]]:
    """What a model writes after each of some beginnings, as the symbols that it has drawn.

    Args:
      model, encoder: of the texts.
      read: symbols that it has read, `bos` first (`lexitok.inference.prompts.prompt_symbols`).
      symbols: how many are drawn for each, at most: `eot` is the last of its text.
      sampling: how.
      seed: of the random choices.
      chunk: symbols that are read at once.

    Raises:
      FloatingPointError, ValueError: as `Drawer.draw` and `Decoder`.
    """
    room = max(positions_of(encoder, row) for row in read) + symbols * (1 + encoder.rule.slots)
    decoder = Decoder(model, encoder, len(read), room, chunk, row_seeds(len(read), seed))
    drawer, written = Drawer(decoder, encoder, sampling, seed), [[] for _ in read]
    new, going = [list(row) for row in read], [symbols > 0] * len(read)
    while any(going):
        decoder.read(new)
        for row, symbol, goes in zip(written, drawer.draw(going), going, strict=True):
            if goes:
                row.append(symbol)
        going = [len(row) < symbols and row[-1] != encoder.vocabulary.eot for row in written]
        new = [row[-1:] if goes else [] for row, goes in zip(written, going, strict=True)]
    return written
