"""The symbols that stand for each byte, and for the end of the text: what byte models have in common."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from lexitok.text.vocabulary import Vocabulary

END = 256  # column of the end of the text


def byte_symbols(vocabulary: Vocabulary) -> Int[np.ndarray, "M 257"]:
    """The symbols of each single byte, `M` at most, in the order of their ids; column `END` has `eot`.

    Where a byte has fewer, `bos` stands, which is never predicted. `M` is 2 where symbols also say of their byte
    whether a unit ends with it (boundary rule `fused`), and otherwise 1.
    """
    of_byte: list[list[int]] = [[] for _ in range(END)]
    for symbol, token in enumerate(vocabulary.token_bytes):
        if len(token) == 1:
            of_byte[token[0]].append(symbol)
    symbols = np.full((max(map(len, of_byte)), END + 1), vocabulary.bos, np.int32)
    for byte, found in enumerate(of_byte):
        symbols[: len(found), byte] = found
    symbols[0, END] = vocabulary.eot
    return symbols


def check_bytes(data: Sequence[int | None], rows: int, known_C: Bool[np.ndarray, "257"]) -> None:
    """Refuses what a byte model cannot go on with.

    Args:
      data: a byte for each row, or None.
      rows: how many there are.
      known_C: the bytes that have a symbol.

    Raises:
      ValueError: not one entry for each row, not a byte, or one that has no symbol; names the row.
    """
    if len(data) != rows:
        raise ValueError(
            f"{len(data)} bytes are pushed, and there are {rows} rows; give None where a row stays as it is"
        )
    for row, byte in enumerate(data):
        if byte is not None and (not 0 <= byte < END or not known_C[byte]):
            raise ValueError(f"row {row}: {byte} is no byte that the model has a symbol for")


@jax.jit
def log_probabilities(
    logits_RxV: Float[Array, "R V"], allowed_RxV: Bool[Array, "#R V"], symbols_Q: Int[Array, "Q"]
) -> Float[Array, "R Q"]:
    """Log-probabilities of symbols under the softmax of all; -inf for those that are not allowed."""
    log_p = jnp.where(allowed_RxV, jax.nn.log_softmax(logits_RxV, axis=-1), -jnp.inf)
    return jnp.take(log_p, symbols_Q, axis=-1)
