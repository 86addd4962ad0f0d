"""Rule `model`: as `revealed`, but it is the model that says where units end (BLT, H-Net)."""

import dataclasses
from typing import ClassVar

import numpy as np

from lexitok.text.boundaries.none import NoBoundaries
from lexitok.text.boundaries.stream import SymbolStream, symbol_stream
from lexitok.text.segmentation import Segmentation


@dataclasses.dataclass(frozen=True)
class FoundByModel(NoBoundaries):
    """The bytes; what the data says of units is not used."""

    name: ClassVar[str] = "model"
    has_units: ClassVar[bool] = True
    by_model: ClassVar[bool] = True

    def stream(self, symbols: np.ndarray, units: Segmentation | None) -> SymbolStream:
        assert self.alphabet is not None
        ends = np.ones(len(symbols) + 1, bool)
        whole = np.append(symbols, self.alphabet.eot)
        return symbol_stream(whole, ends, np.cumsum(ends), self.name, self.alphabet.bos)
