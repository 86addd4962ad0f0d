"""Models as distributions of the next byte: what is compared, mixed and completed byte for byte."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Float

from lexitok.data.encoders import Encoder
from lexitok.inference.byte_symbols import END, byte_symbols, check_bytes, log_probabilities
from lexitok.inference.decoder import Decoder
from lexitok.inference.marked_byte_model import MarkedByteModel

__all__ = ["END", "ByteModel", "MarkedByteModel", "SymbolByteModel", "byte_model"]


@runtime_checkable
class ByteModel(Protocol):
    """The distribution of the byte after each of a batch of texts."""

    def next_bytes(self) -> Float[Array, "B 257"]:
        """Log-probabilities of the 256 bytes, and of the end of the text (column `END`)."""
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
        self._symbols_C = byte_symbols(vocabulary)[0]
        self._known_C = self._symbols_C != vocabulary.bos
        V = decoder.logits_BxV.shape[1]
        self._allowed_1xV = encoder.rule.allowed_next(vocabulary, V)[:1]
        if not begun:
            decoder.read([[vocabulary.bos]] * len(decoder.cursors))

    def next_bytes(self) -> Float[Array, "B 257"]:
        symbols, allowed = jnp.asarray(self._symbols_C), jnp.asarray(self._allowed_1xV)
        return log_probabilities(self._decoder.logits_BxV, allowed, symbols)

    def push(self, data: Sequence[int | None]) -> None:
        """As of a `ByteModel`.

        Raises:
          ValueError: not a byte, or one that the model's alphabet does not have; names the row.
          ContextError: a row has no room for it.
        """
        check_bytes(data, len(self._decoder.cursors), self._known_C)
        self._decoder.read([[] if byte is None else [int(self._symbols_C[byte])] for byte in data])

    def take(self, rows: Sequence[int]) -> "SymbolByteModel":
        return SymbolByteModel(self._decoder.take(rows), self._encoder, begun=True)


def byte_model(model: Any, encoder: Encoder, rows: int, nbytes: int, *, width: int = 8) -> ByteModel:
    """The distribution of bytes that a model is.

    Args:
      model: a trained model.
      encoder: of the symbols that it was trained on.
      rows: how many texts, all empty at first.
      nbytes: of a text, at most.
      width: where the model's symbols say where units end: the ways to say so that are kept of each text. The first `n`
        bytes of a text have `2 ** (n - 1)` (`end_symbol`) or `2 ** n` (`fused`), most of which are next to
        impossible under a trained model; with fewer, a text's probability is a lower bound (`MarkedByteModel.lost_B`).

    Raises:
      ValueError: the model's symbols are no single bytes: then a byte's probability is a sum over all that may be in a
        symbol with it.
    """
    if encoder.kind == "subword":
        raise ValueError("a subword model's symbols span several bytes: its distribution of bytes is not to be had yet")
    if encoder.rule.marks != "nothing":
        return MarkedByteModel(model, encoder, rows, nbytes, width)
    return SymbolByteModel(Decoder(model, encoder, rows, nbytes + 1, chunk=1), encoder)
