"""The units of a prompt as the model finds them, where it has learned to (Bolmo), instead of its tokenizer."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lexitok.data.encoders import Encoder
from lexitok.models.preceding_symbols import PrecedingSymbols
from lexitok.models.routers import DistilledRouter
from lexitok.ops.attention import Positions
from lexitok.text.boundaries import longest_ends

ROOM = 128  # prompts are read in rows whose length is a multiple of it


def predicted_ends(model: Any, encoder: Encoder, data: bytes) -> np.ndarray:
    """Bool `[n]`: the bytes with which units end, by the model's router, which looks one byte ahead.

    Of the last byte it says nothing: its unit is open. Longer units than the splitter allows are cut.

    Args:
      model: with router `distilled`.
      encoder: of the symbols that it was trained on.
      data: bytes.

    Raises:
      ValueError: the model has no such router.
    """
    router = getattr(getattr(model, "stage", None), "router", None)
    if not isinstance(router, DistilledRouter):
        raise ValueError("prompt_units 'router' needs a model with router 'distilled', which finds units of a text")
    n = len(data)
    symbols = np.zeros(-(-(n + 1) // ROOM) * ROOM, np.int32)
    symbols[: n + 1] = [encoder.vocabulary.bos, *data]
    chances = np.asarray(_chances(model, jnp.asarray(symbols)[None]))[0, 1 : n + 1]
    ends = chances > 0.5
    ends[-1:] = False
    return longest_ends(ends, encoder.rule.longest)


@jax.jit
def _chances(model: Any, symbols_1xS: Int[Array, "1 S"]) -> Float[Array, "1 S"]:
    positions = jnp.arange(symbols_1xS.shape[1], dtype=jnp.int32)[None]
    embedded = model.embed(
        PrecedingSymbols.of_batch(symbols_1xS, positions), model.interface.bind(jnp.zeros(1, jnp.int32))
    )
    encoded = model.stage.encoder(embedded, Positions(jnp.zeros_like(positions), positions))
    return model.stage.router.chances(encoded)
