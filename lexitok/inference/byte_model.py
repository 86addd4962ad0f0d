"""Models as distributions of the next byte: what is compared, mixed and completed byte for byte."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lexitok.data.encoders import Encoder
from lexitok.inference.decoder import Decoder

END = 256  # column of the end of the text


@runtime_checkable
class ByteModel(Protocol):
    """The distribution of the byte after each of a batch of texts."""

    def next_bytes(self) -> Float[Array, "B 257"]:
        """Log-probabilities of the 256 bytes, and of the end of the text."""
        ...

    def push(self, data: Sequence[int | None]) -> None:
        """Goes on with a byte in every row; None: the row stays where it is."""
        ...

    def take(self, rows: Sequence[int]) -> "ByteModel":
        """A model whose rows are copies of these, in this order; a row may come several times."""
        ...


class SymbolByteModel:
    """A model whose symbols are bytes, and whose units need no symbol to end: it is a distribution of bytes as it is.

    Its log-probabilities are those of its softmax, so that they add up, over a text and its end, to the nats that an
    evaluation counts. What a row's probabilities lack to 1 is what the model gives to symbols that never come (`bos`,
    padding): next to nothing once it is trained.

    Args:
      decoder: of the model; its rows have read nothing.
      encoder: of its symbols.
    """

    def __init__(self, decoder: Decoder, encoder: Encoder, *, begun: bool = False):
        self._decoder, self._encoder = decoder, encoder
        vocabulary = encoder.vocabulary
        symbols = {token: i for i, token in enumerate(vocabulary.token_bytes) if len(token) == 1}
        missing = vocabulary.size  # a byte that is no symbol (UTF-8 never uses it)
        ids = [symbols.get(bytes([b]), missing) for b in range(256)]
        self._ids = np.array([*ids, vocabulary.eot], np.int32)
        self._missing = self._ids == missing
        if not begun:
            decoder.read([[vocabulary.bos]] * len(decoder.cursors))

    def next_bytes(self) -> Float[Array, "B 257"]:
        return _log_probabilities(self._decoder.logits_BxV, jnp.asarray(self._ids), jnp.asarray(self._missing))

    def push(self, data: Sequence[int | None]) -> None:
        """As of a `ByteModel`.

        Raises:
          ValueError: not a byte, or one that the model's alphabet does not have; names the row.
          ContextError: a row has no room for it.
        """
        for row, byte in enumerate(data):
            if byte is not None and (not 0 <= byte < END or self._missing[byte]):
                raise ValueError(f"row {row}: {byte} is no byte that the model has a symbol for")
        self._decoder.read([[] if byte is None else [int(self._ids[byte])] for byte in data])

    def take(self, rows: Sequence[int]) -> "SymbolByteModel":
        return SymbolByteModel(self._decoder.take(rows), self._encoder, begun=True)


def byte_model(model: Any, encoder: Encoder, rows: int, nbytes: int, *, chunk: int = 64) -> ByteModel:
    """The distribution of bytes that a model is.

    Args:
      model: a trained model.
      encoder: of the symbols that it was trained on.
      rows: how many texts, all empty at first.
      nbytes: of a text, at most.
      chunk: bytes that are read at once, where there are as many.

    Raises:
      ValueError: the model's symbols are no single bytes, or say where units end: then a byte's probability is a sum
        over what the model might have said of units.
    """
    if encoder.kind == "subword":
        raise ValueError("a subword model's symbols span several bytes: its distribution of bytes is not to be had yet")
    if encoder.rule.marks != "nothing":
        raise ValueError(
            f"under boundary '{encoder.rule.name}' symbols say where units end: a byte's probability is a sum over "
            "them, which is not to be had yet"
        )
    return SymbolByteModel(Decoder(model, encoder, rows, nbytes + 1, chunk), encoder)


@jax.jit
def _log_probabilities(logits_BxV: Array, ids_C: Array, missing_C: Array) -> Float[Array, "B 257"]:
    log_p = jax.nn.log_softmax(logits_BxV, axis=-1)
    found = jnp.take(log_p, jnp.minimum(ids_C, log_p.shape[-1] - 1), axis=-1)
    return jnp.where(missing_C[None], -jnp.inf, found)
