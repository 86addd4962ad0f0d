"""What a data pipeline has delivered, as numbers: how full rows are, and that no byte was dropped."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class PipelineReport:
    """Sums over the batches that one process has been given. JSON can hold it, so it is saved with the iterator.

    Attributes:
      batches: how many.
      symbols, symbol_capacity: symbols in the rows, and what the rows could hold.
      units, unit_capacity: the same of units; 0 for models whose symbols are units.
      bytes_in: raw bytes of the stretches of documents that went into the rows, by their offsets.
      bytes_read: raw bytes of the targets in the batches.
      bytes_scored: of those that have weight; of a chat, what is learnt.
      documents: whose end was in a row.
      lossy_documents: of those, documents that a tokenizer changed.
      empty_documents: met and skipped.
      other_...: symbols and units of other tokenisations, and the bytes of the one that has the fewest; 0 without one.
    """

    batches: int = 0
    symbols: int = 0
    symbol_capacity: int = 0
    units: int = 0
    unit_capacity: int = 0
    bytes_in: int = 0
    bytes_read: int = 0
    bytes_scored: int = 0
    documents: int = 0
    lossy_documents: int = 0
    empty_documents: int = 0
    other_symbols: int = 0
    other_symbol_capacity: int = 0
    other_units: int = 0
    other_unit_capacity: int = 0
    other_bytes_scored: int = 0

    @classmethod
    def of_saved(cls, saved: dict[str, int]) -> "PipelineReport":
        """As it was saved. Older runs said `second_` for `other_`, and scored all that they read."""
        found = {name.replace("second_", "other_"): value for name, value in saved.items()}
        return cls(**{"bytes_read": found.get("bytes_scored", 0)} | found)

    def add(self, account: np.ndarray) -> None:
        """Adds an account: the attributes in order, int64 `[16]`."""
        for field, value in zip(dataclasses.fields(self), account.tolist(), strict=True):
            setattr(self, field.name, getattr(self, field.name) + value)

    @property
    def bytes_dropped(self) -> int:
        return self.bytes_in - self.bytes_read

    def metrics(self) -> dict[str, float]:
        """For a log. Fractions are of what has been delivered so far."""
        found = {
            "data/symbols_filled": self.symbols / max(1, self.symbol_capacity),
            "data/units_filled": self.units / max(1, self.unit_capacity),
            "data/fraction_scored": self.bytes_scored / max(1, self.bytes_in),
            "data/bytes": float(self.bytes_scored),
            "data/bytes_dropped": float(self.bytes_dropped),
            "data/documents": float(self.documents),
            "data/lossy_documents": float(self.lossy_documents),
            "data/empty_documents": float(self.empty_documents),
        }
        if self.other_symbol_capacity:
            found |= {
                "data/other_symbols_filled": self.other_symbols / self.other_symbol_capacity,
                "data/other_units_filled": self.other_units / max(1, self.other_unit_capacity),
                "data/other_fraction_scored": self.other_bytes_scored / max(1, self.bytes_in),
            }
        return found
