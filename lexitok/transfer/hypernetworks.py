"""What the hypernetwork of a trained run makes of a new vocabulary."""

import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from lexitok.data.spelling import Spelled, Spelling
from lexitok.interfaces.hypernetwork import Hypernetwork, MadeTables, source_tokenizer
from lexitok.interfaces.hypernetwork.heuristics import part_weights
from lexitok.runs.load import load_model
from lexitok.text.matching import NONE
from lexitok.text.vocabulary import Tokenizer
from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods.hypernetwork import Predicted, PredictedSide

_BLOCK = 4096  # tokens whose rows are made at once


def predictions_of(run: str | Path, target: Tokenizer) -> Predicted:
    """What a run's hypernetwork makes of a tokenizer.

    Args:
      run: directory of the run.
      target: the new tokenizer; the vocabulary of the text that the run was evaluated on does not matter.

    Raises:
      TransferError: the run has no hypernetwork.
      MatchError: the target's tokens cannot be spelled in those of the base model.
    """
    model, encoder = load_model(run)
    interface: Any = getattr(model, "interface", None)
    if not isinstance(interface, Hypernetwork):
        raise TransferError(f"{run} has a {type(interface).__name__}, and no hypernetwork (configs/hypernetwork.py)")
    source: Any = source_tokenizer(interface.c) or getattr(encoder, "tokenizer", None)
    spelling = Spelled(source, interface.c.parts)(target.vocabulary, interface.c.language)
    rows_in, rows_out = _rows(interface, spelling)
    parts, lengths = np.asarray(spelling.parts_VxP), np.asarray(jax.device_get(interface.made_lengths[...]))

    def side(rows: np.ndarray, table: Any, heuristic: str) -> PredictedSide:
        return PredictedSide(rows, _on_host(table[...]), _weights(parts, lengths, heuristic))

    table, head = interface.frozen_source.table, interface.frozen_source.head
    entering = side(rows_in, table, interface.c.heuristic_in)
    leaving = entering if rows_out is None else side(rows_out, head, interface.c.heuristic_out)
    return Predicted(entering, leaving, source.vocabulary.fingerprint)


def _rows(interface: Hypernetwork, spelling: Spelling) -> tuple[np.ndarray, np.ndarray | None]:
    """The tables, some tokens at a time: a hundred thousand would not fit into a small memory at once."""
    V, made = len(spelling.parts_VxP), []
    for start in range(0, V, _BLOCK):
        parts = spelling.parts_VxP[start : start + _BLOCK]
        missing = min(_BLOCK, V) - len(parts)  # so that all blocks are one program
        filled = np.pad(parts, ((0, missing), (0, 0)), constant_values=NONE)
        tables = _tables(interface, Spelling(filled, spelling.language))
        made.append([None if x is None else _on_host(x)[: len(parts)] for x in tables[:2]])
    entering, leaving = zip(*made, strict=True)
    return np.concatenate(entering), None if leaving[0] is None else np.concatenate(leaving)


@jax.jit
def _tables(interface: Hypernetwork, spelling: Spelling) -> MadeTables:
    return interface.tables(spelling)


def _weights(
    parts_VxP: Int[np.ndarray, "V P"], lengths_U: Int[np.ndarray, "U"], heuristic: str
) -> scipy.sparse.csr_array:
    of = jax.jit(functools.partial(part_weights, heuristic=heuristic))
    weights = np.asarray(of(parts_VxP, lengths_U))
    token, place = np.nonzero(weights)
    triples = (weights[token, place], (token, parts_VxP[token, place]))
    return scipy.sparse.coo_array(triples, shape=(len(parts_VxP), len(lengths_U))).tocsr()


def _on_host(rows: Any) -> Float[np.ndarray, "n D"]:
    return np.asarray(jax.device_get(rows), np.float32)
