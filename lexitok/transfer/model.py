"""A model under a new tokenizer: its tables exchanged, all else as it was."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lexitok.interfaces.table import Table
from lexitok.nn.parameters import parameter
from lexitok.sharding import current_mesh, state_shardings
from lexitok.text.matching import Match
from lexitok.text.vocabulary import Tokenizer
from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods import Method
from lexitok.transfer.rows import NewTables, init_embeddings


@dataclasses.dataclass(frozen=True)
class Transferred:
    """A model under a new tokenizer.

    Attributes:
      model: reads and predicts the target's ids.
      tables: its new tables, and where their rows come from.
    """

    model: Any
    tables: NewTables


def transfer(
    model: Any,
    source: Tokenizer,
    target: Tokenizer,
    *,
    method_in: Method,
    method_out: Method | None = None,
    specials: Mapping[int, int] | None = None,
    found: Match | None = None,
    seed: int = 0,
) -> Transferred:
    """The model with the tables that `init_embeddings` makes; the arrays that it keeps are shared with the given one.

    Args:
      model: with a learned table (`lexitok.interfaces.table.Table`), on any mesh.
      source: the tokenizer that it was trained with, with an id for each row of the table.
      target: the new one.
      method_in, method_out, specials, found, seed: as of `init_embeddings`.

    Raises:
      TransferError: the model has another interface, or is spread over several processes; or as `init_embeddings`.
    """
    interface = getattr(model, "interface", None)
    if not isinstance(interface, Table) or interface.shared:
        what = type(interface).__name__ + (" of shared rows" if isinstance(interface, Table) else "")
        raise TransferError(f"only a model with a learned table can be transferred, a row a symbol; this has a {what}")
    rows_in = _on_host(interface.table)
    rows_out = None if interface.head is None else _on_host(interface.head)
    how = {"method_in": method_in, "method_out": method_out, "specials": specials, "found": found, "seed": seed}
    tables = init_embeddings(source, target, rows_in, rows_out, **how)
    return Transferred(with_tables(model, tables), tables)


def _on_host(table: Any) -> np.ndarray:
    rows = table[...]
    if isinstance(rows, jax.Array) and not rows.is_fully_addressable:
        raise TransferError("the model is spread over several processes: transfer it in one that holds all of it")
    return np.asarray(jax.device_get(rows), np.float32)


def with_tables(model: Any, tables: NewTables) -> Any:
    """The model with these tables in place of its own, in their dtypes; split over the mesh that is set."""
    out = jax.tree.map(lambda leaf: leaf, model)
    old = out.interface
    out.interface.table = parameter("V D", jnp.asarray(tables.entering.rows_VxD, old.table.dtype))
    if tables.leaving is not None:
        out.interface.head = parameter("V D", jnp.asarray(tables.leaving.rows_VxD, old.head.dtype))
    mesh = current_mesh()
    return out if mesh is None else jax.device_put(out, state_shardings(out, mesh))
