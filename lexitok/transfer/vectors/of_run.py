"""The rows of another model as auxiliary vectors."""

import itertools
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lexitok.interfaces.table import Table
from lexitok.runs.load import load_model
from lexitok.text.vocabulary import Tokenizer
from lexitok.transfer.errors import TransferError


def vectors_of(run: str | Path, target: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """The tables of a model that has the new tokenizer's ids, by which symbols enter and leave: auxiliary vectors.

    Raises:
      TransferError: its tokenizer is another, or its model has no learned table.
    """
    model, encoder = load_model(run)
    tokens, wanted = encoder.vocabulary.token_bytes, target.vocabulary.token_bytes
    if any(a != b for a, b in itertools.zip_longest(tokens, wanted, fillvalue=b"")):
        raise TransferError(f"the tokens of {run} are not those of the new tokenizer: its rows say nothing of them")
    interface: Any = model.interface
    if not isinstance(interface, Table):
        raise TransferError(f"{run} has a {type(interface).__name__}, and no table of learned rows")

    def fitted(rows: Any) -> np.ndarray:  # ids behind the last token are never used
        rows = np.asarray(jax.device_get(rows[...]), np.float32)[: len(wanted)]
        return np.pad(rows, ((0, len(wanted) - len(rows)), (0, 0)))

    return fitted(interface.table), fitted(interface.table_out)
