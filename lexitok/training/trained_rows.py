"""Which rows of a model's tables are trained, as a config says it."""

import re

import numpy as np
from jaxtyping import Int

from lexitok.training.state import SetupError
from lexitok.transfer.errors import TransferError
from lexitok.transfer.provenance import KINDS, read_kinds

_KEY = "optimizer.rows"
_RANGE = re.compile(r"(\d+)(?::(\d+))?")


def trained_rows(said: str, run: str, V: int) -> Int[np.ndarray, "n"] | None:
    """The ids whose rows are trained, ascending; None: all of them.

    Args:
      said: parts with commas between them: ids, as `7`; ranges, as `100:164` without the last; and kinds of rows, as
        `made` and `unmatched`, by the provenance of `run` (`lexitok.transfer.provenance.KINDS`). Empty: all.
      run: that training starts from.
      V: symbols.

    Raises:
      SetupError: none of these, ids that are no symbols, no id at all, or no transfer wrote the run; says which.
    """
    parts = [part.strip() for part in said.split(",") if part.strip()]
    if not parts:
        return None
    chosen = np.zeros(V, bool)
    for part in parts:
        chosen[_ids(part, run, V)] = True
    if not chosen.any():
        raise SetupError(f"{_KEY} is '{said}', and {run or 'this run'} has no such rows: there is nothing to train")
    return np.flatnonzero(chosen).astype(np.int32)


def _ids(part: str, run: str, V: int) -> slice | np.ndarray:
    if part in KINDS:
        return np.array(_kinds(run, V)) == part
    found = _RANGE.fullmatch(part)
    if found is None:
        kinds = ", ".join(KINDS)
        raise SetupError(f"{_KEY}: '{part}' is no id, no range as 100:164, and none of the kinds of rows: {kinds}")
    start = int(found[1])
    stop = start + 1 if found[2] is None else int(found[2])
    if not start < stop <= V:
        raise SetupError(f"{_KEY}: '{part}' are no ids of this run's vocabulary, which are 0 to {V - 1}")
    return slice(start, stop)


def _kinds(run: str, V: int) -> list[str]:
    if not run:
        raise SetupError(f"{_KEY}: kinds of rows are those of the run that training starts from: set train.start.run")
    try:
        kinds = read_kinds(run)
    except TransferError as error:
        raise SetupError(f"{_KEY}: {error}; name ids, as 100:164") from error
    if len(kinds) != V:
        raise SetupError(f"{_KEY}: {run} has {len(kinds)} rows, and this run's vocabulary {V} ids")
    return kinds
