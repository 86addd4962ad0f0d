"""`WordVectors`: words, their vectors, and how often they come up."""

import dataclasses

import numpy as np
from jaxtyping import Float


@dataclasses.dataclass(frozen=True)
class WordVectors:
    """Vectors of words, or of tokens by their spelling.

    Attributes:
      words: the words, each once.
      rows_WxA: float32, their vectors.
      counts_W: how often each came up, or what stands for it.
    """

    words: tuple[str, ...]
    rows_WxA: Float[np.ndarray, "W A"]
    counts_W: Float[np.ndarray, "W"]
