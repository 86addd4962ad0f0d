"""Which symbols may be drawn next, so that only streams as in training come about."""

import numpy as np

from lexitok.data.encoders import Encoder
from lexitok.inference.cursors import Cursor

EMPTY_UNIT, OPEN_UNIT, FULL_UNIT = range(3)  # rows of `allowed_symbols`


def allowed_symbols(encoder: Encoder, V: int) -> np.ndarray:
    """Bool `[3, V]`: the symbols that may be drawn, by what the open unit holds.

    Symbols with bytes, and `eot`. Where symbols say where units end, a unit has a byte at least and as many as the
    splitter allows at most, and the document ends between units: row `EMPTY_UNIT` has no end-of-unit symbol, row
    `OPEN_UNIT` no `eot`, row `FULL_UNIT` only what ends the unit. Elsewhere, row `EMPTY_UNIT` counts.
    """
    vocabulary = encoder.vocabulary
    allowed = np.zeros((3, V), bool)
    allowed[:, : vocabulary.size] = vocabulary.lengths > 0
    allowed[EMPTY_UNIT, vocabulary.eot] = True
    if encoder.end_of_unit is not None:
        allowed[FULL_UNIT] = False
        allowed[OPEN_UNIT:, encoder.end_of_unit] = True
    if encoder.boundary == "fused":
        allowed[FULL_UNIT, : encoder.alphabet.fused] = False  # type: ignore[attr-defined]
    return allowed


def kind_of(cursor: Cursor, encoder: Encoder) -> int:
    """The row of `allowed_symbols` that holds for what a row goes on with."""
    if encoder.boundary not in ("end_symbol", "fused") or cursor.open_bytes == 0:  # type: ignore[union-attr]
        return EMPTY_UNIT
    room = encoder.splitter.max_unit_bytes - cursor.open_bytes  # type: ignore[attr-defined, union-attr]
    # Under `fused` it is the last byte itself that has to say that the unit ends.
    return OPEN_UNIT if room > (encoder.boundary == "fused") else FULL_UNIT
