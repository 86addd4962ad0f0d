"""Rows that were made are remembered, by the bytes of their tokens: those that were asked for last, so many of them."""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from lexitok.transfer.dynamic.rows import RowMaker, TokenRows
from lexitok.transfer.errors import TransferError


class RowCache:
    """A maker of rows that asks another only for what it has forgotten or never had.

    Attributes:
      hits, misses: tokens that were there, and those that were made.
    """

    def __init__(self, maker: RowMaker, size: int):
        """Args: makes rows; and of how many tokens they are kept, those that were asked for last.

        Raises:
          TransferError: `size` is below 1.
        """
        if size < 1:
            raise TransferError(f"a cache of {size} rows; it has 1 at least")
        self._maker, self._size = maker, size
        self._rows: OrderedDict[bytes, tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self.hits = self.misses = 0

    @property
    def hit_rate(self) -> float:
        """Of the tokens that were asked for, the fraction that was there; 0 before there were any."""
        return self.hits / max(1, self.hits + self.misses)

    def __len__(self) -> int:
        return len(self._rows)

    def __call__(self, tokens: Sequence[bytes]) -> TokenRows:
        """As of a `RowMaker`; a batch may ask for more tokens than are kept."""
        if not tokens:
            return self._maker(tokens)
        missing = [token for token in dict.fromkeys(tokens) if token not in self._rows]
        self.misses += len(missing)
        self.hits += len(tokens) - len(missing)
        new = {}
        if missing:
            entering, leaving = self._maker(
                missing
            )  # a copy of each: else one row would keep all that were made with it
            new = {token: (entering[i].copy(), leaving[i].copy()) for i, token in enumerate(missing)}
        found = [new[token] if token in new else self._rows[token] for token in tokens]
        for token, rows in zip(tokens, found, strict=True):
            self._rows[token] = rows
            self._rows.move_to_end(token)
        while len(self._rows) > self._size:
            self._rows.popitem(last=False)
        return TokenRows(*map(np.stack, zip(*found, strict=True)))
