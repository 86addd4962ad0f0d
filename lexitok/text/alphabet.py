"""The symbols of byte models: all 256 bytes, and the specials that frame documents and units.

`APPENDED` puts the specials after the bytes, so any byte string can be modelled. `IN_BYTES` puts them into byte
values that UTF-8 never uses, as the published HATs do: the softmax stays 256 wide, and text that is not valid UTF-8
has to be refused.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np


class InvalidUtf8Error(ValueError):
    """Text that an alphabet cannot hold; the message names the document and the byte offset."""


@dataclasses.dataclass(frozen=True)
class ByteAlphabet:
    """Ids of a byte model's symbols. Ids below 256 are the bytes themselves.

    Attributes:
      name: `appended` or `in_bytes`.
      size: width of the softmax.
      bos: stands before a document (or a piece of one); never predicted.
      eot: ends a document; predicted, and zero bytes long.
      end_of_unit: closes a unit under the boundary rule `end_symbol`; predicted, and zero bytes long.
      pad: fills a row; never scored.
      fused: 0, or the number of symbols that are there twice: id `fused + i` is symbol `i` with an end of unit behind
        it (boundary rule `fused`).
    """

    name: str
    size: int
    bos: int
    eot: int
    end_of_unit: int
    pad: int
    fused: int = 0

    @property
    def specials(self) -> frozenset[int]:
        once = (self.bos, self.eot, self.end_of_unit, self.pad)
        return frozenset((*once, *(self.fused + i for i in once)))

    def plain(self, i: int) -> int:
        """The symbol without what it says of the end of a unit."""
        return i % self.fused if self.fused else i

    def encode(self, data: bytes, source: str = "text") -> np.ndarray:
        """The bytes of `data` as int32 symbols `[len(data)]`.

        Raises:
          InvalidUtf8Error: the alphabet is `in_bytes` and `data` is not valid UTF-8; names `source` and the offset.
        """
        if self.name == "in_bytes":
            try:
                data.decode("utf-8")
            except UnicodeDecodeError as error:
                raise InvalidUtf8Error(
                    f"{source}: not valid UTF-8 at byte {error.start} (0x{data[error.start]:02x}). The alphabet "
                    "'in_bytes' keeps its specials in such bytes and cannot hold them; use alphabet 'appended', "
                    "or repair the text."
                ) from None
        return np.frombuffer(data, np.uint8).astype(np.int32)

    def decode(self, ids: Iterable[int]) -> bytes:
        """The bytes that `ids` stand for; specials stand for none.

        Raises:
          ValueError: an id is not a symbol of this alphabet.
        """
        kept = []
        for i in ids:
            if not 0 <= i < self.size:
                raise ValueError(f"symbol id {i} is outside the alphabet '{self.name}' (0 to {self.size - 1})")
            if i not in self.specials:
                kept.append(self.plain(i))
        return bytes(kept)


APPENDED = ByteAlphabet("appended", size=260, bos=256, eot=257, end_of_unit=258, pad=259)
IN_BYTES = ByteAlphabet("in_bytes", size=256, bos=0xC1, eot=0xC0, end_of_unit=0xF5, pad=0xF6)


def doubled(alphabet: ByteAlphabet) -> ByteAlphabet:
    """The alphabet in which every symbol is there a second time, with an end of unit behind it."""
    return dataclasses.replace(alphabet, size=2 * alphabet.size, fused=alphabet.size)


ALPHABETS = {alphabet.name: alphabet for alphabet in (APPENDED, IN_BYTES)}
