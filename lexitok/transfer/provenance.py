"""Where the rows of a new table come from: for each token, which of the old ones, with what weights."""

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int8

from lexitok.runs.writing import write_whole
from lexitok.text.vocabulary import Vocabulary
from lexitok.transfer.errors import TransferError

COPIED, MADE, SPECIAL, UNMATCHED = range(4)
_SEPARATORS = {point: f"\\u{point:04x}" for point in (0x7F, 0x85, 0x2028, 0x2029)}  # lines end there for some readers
FILES = {"entering": "rows_in.jsonl", "leaving": "rows_out.jsonl"}  # of a run that a transfer wrote, a line a row
KINDS = ("copied", "made", "special", "unmatched")  # the row of the same bytes; of others; of a role; the mean of all


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Of every row of a table.

    Attributes:
      method: that made the rows of new tokens.
      kind_V: index into `KINDS`.
      weights_VxU: sparse `[V_target, V_source]`: a row is that combination of the source's rows, and empty where it is
        drawn at random, or their mean (`unmatched`).
      residual_V: how far the method was from what it aimed at, relative to that; NaN where it has no such thing.
    """

    method: str
    kind_V: Int8[np.ndarray, "V"]
    weights_VxU: scipy.sparse.csr_array
    residual_V: Float[np.ndarray, "V"]

    def of(self, token: int) -> list[tuple[int, float]]:
        """The source's ids that a token's row is made of, the heaviest first, with their weights."""
        row = scipy.sparse.csr_array(self.weights_VxU[[token]])
        order = np.argsort(-np.abs(row.data), kind="stable")
        return [(int(row.indices[i]), float(row.data[i])) for i in order]

    def lines(self, source: Vocabulary, target: Vocabulary, most: int = 8) -> Iterator[dict[str, Any]]:
        """A line for every token, as JSON holds it; of the tokens it is made of, the `most` heaviest.

        Bytes are shown as text, those that are not UTF-8 as `\\xhh`.
        """
        for token, kind in enumerate(self.kind_V.tolist()):
            made_of = self.of(token)
            residual = float(self.residual_V[token])
            yield {
                "id": token,
                "token": shown(target, token),
                "kind": KINDS[kind],
                **({"method": self.method} if kind == MADE else {}),
                "from": [[i, shown(source, i), round(weight, 6)] for i, weight in made_of[:most]],
                **({"parts": len(made_of)} if len(made_of) > most else {}),
                **({} if math.isnan(residual) else {"residual": round(residual, 6)}),
            }

    def write(self, path: Path, source: Vocabulary, target: Vocabulary) -> None:
        """Writes `lines` to a file, one a token."""
        lines = (json.dumps(line, ensure_ascii=False).translate(_SEPARATORS) for line in self.lines(source, target))
        write_whole(path, "\n".join(lines) + "\n")


def read_lines(run: str | Path, side: str = "entering") -> list[dict[str, Any]]:
    """What the provenance of a run that a transfer wrote says of every row, in their order; as `Provenance.lines`.

    Args:
      run: its directory.
      side: one of `FILES`.

    Raises:
      TransferError: no transfer wrote the run, or its provenance is damaged; names the line.
    """
    path, lines = Path(run) / FILES[side], []
    if not path.is_file():
        raise TransferError(f"{run} has no {path.name}: no transfer wrote it, and nothing says which rows are new")
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines()):
        try:
            line = json.loads(text)
            token, kind = line["id"], line["kind"]
        except (ValueError, TypeError, KeyError) as error:
            raise TransferError(f"{path}, line {number + 1} is not the provenance of a row: {error!r}") from error
        if token != number or kind not in KINDS:
            raise TransferError(f"{path}, line {number + 1} should be of id {number}, and is of id {token}, '{kind}'")
        lines.append(line)
    return lines


def read_kinds(run: str | Path) -> list[str]:
    """Of every row of a run that a transfer wrote, the one of `KINDS` that its provenance says.

    Raises:
      TransferError: as `read_lines`.
    """
    return [line["kind"] for line in read_lines(run)]


def shown(vocabulary: Vocabulary, token: int) -> str:
    """A token for people: its bytes as text, or the name of a special."""
    if token in vocabulary.specials:
        return vocabulary.names.get(token, f"special {token}")
    return vocabulary.token_bytes[token].decode(errors="backslashreplace")
