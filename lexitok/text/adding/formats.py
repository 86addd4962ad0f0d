"""What every format of BPE tokenizers has to say of itself, so that tokens can be added to it and taken out."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from lexitok.text.adding.bpe import Rules, Spelling
from lexitok.text.adding.continued import NewToken
from lexitok.text.vocabulary import Tokenizer


class AddingError(ValueError):
    """Tokens that cannot be added or taken out; the message says which, and why."""


@runtime_checkable
class BpeFormat(Protocol):
    """A BPE tokenizer as merges.

    Attributes:
      rules: its merges.
      spellings: of the tokens that may be parts of new ones, and of the characters (negative) that are no tokens.
    """

    @property
    def rules(self) -> Rules: ...
    @property
    def spellings(self) -> dict[int, Spelling]: ...

    def words(self, data: bytes) -> Counter[Spelling]:
        """The words of a text, which no merge crosses, and how often each is there; what is no UTF-8 is in none."""
        ...

    def segment(self, word: Spelling) -> list[int]:
        """The tokens of a word; characters that are none are negative numbers of `spellings`."""
        ...

    def characters(self, token: int) -> list[int]:
        """The tokens that merging begins with, for the spelling of a token."""
        ...

    def spelled(self, token: bytes) -> Spelling:
        """How UTF-8 text is spelled."""
        ...

    def bytes_of(self, spelling: Spelling) -> bytes:
        """What a spelling stands for."""
        ...

    def allowed(self, spelling: Spelling) -> bool:
        """Whether training may make it a token."""
        ...

    def written(self, tokens: Sequence[NewToken], pruned: Collection[int]) -> Tokenizer:
        """The tokenizer with these changes, in its own format.

        Args:
          tokens: new ones, in the order of their merges. Their ids are free, or among the pruned.
          pruned: ids of those that are taken out.

        Raises:
          AddingError: the format cannot hold them.
        """
        ...


class Characters:
    """Characters that a vocabulary spells in the tokens of their bytes, as one negative number each."""

    def __init__(self, byte_of: Mapping[int, int], spellings: dict[int, Any], spelled: Callable[[str], str]):
        """Args: id → byte, of byte tokens; spellings that the characters are put into; how characters are spelled."""
        self._byte_of, self._spellings, self._spelled = byte_of, spellings, spelled
        self._numbers: dict[str, int] = {}

    def collapsed(self, ids: Sequence[int]) -> list[int]:
        """The tokens, with numbers in place of bytes that are characters."""
        if self._byte_of.keys().isdisjoint(ids):
            return list(ids)
        found, pending = [], bytearray()
        for i in [*ids, None]:
            if i in self._byte_of:
                pending.append(self._byte_of[i])
                continue
            found += [self._number(character) for character in pending.decode()]
            pending.clear()
            if i is not None:
                found.append(i)
        return found

    def _number(self, character: str) -> int:
        if character not in self._numbers:
            number = self._numbers[character] = -1 - len(self._numbers)
            self._spellings[number] = self._spelled(character)
        return self._numbers[character]
