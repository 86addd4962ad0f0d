"""Vocabularies of bytes by rank (tiktoken, Tekken) as merges."""

from collections import Counter
from collections.abc import Collection, Sequence

from lexitok.text.adding.bpe import AnyPair
from lexitok.text.adding.continued import NewToken
from lexitok.text.adding.formats import AddingError
from lexitok.text.drawn.words import count_words, word_splitter
from lexitok.text.tiktoken_tokenizer import TiktokenTokenizer
from lexitok.text.tokenizer_export import library_pattern


class Ranks:
    """As `BpeFormat`. Two neighbours merge whose bytes together are a token, that of the lowest rank first."""

    def __init__(self, tokenizer: TiktokenTokenizer):
        """Args: the tokenizer, which is left as it is."""
        self._tokenizer = tokenizer
        ids = {token: rank + tokenizer.offset for token, rank in tokenizer.ranks.items()}
        self.rules = AnyPair(ids, {i: i - tokenizer.offset for i in ids.values()})
        self.spellings = {i: token for token, i in ids.items()}
        self._splitter = word_splitter(library_pattern(tokenizer.pattern))

    def words(self, data: bytes) -> Counter[bytes]:
        """As of `BpeFormat`."""
        return count_words(data, self._splitter)

    def segment(self, word: bytes) -> list[int]:
        """As of `BpeFormat`."""
        return self._tokenizer.word_ids(word)

    def characters(self, token: int) -> list[int]:
        """As of `BpeFormat`."""
        return [self.rules.ids[bytes([byte])] for byte in self.spellings[token]]

    def spelled(self, token: bytes) -> bytes:
        """As of `BpeFormat`."""
        return token

    def bytes_of(self, spelling: bytes) -> bytes:
        """As of `BpeFormat`."""
        return spelling

    def allowed(self, spelling: bytes) -> bool:
        """As of `BpeFormat`: what is in one word."""
        return True

    def written(self, tokens: Sequence[NewToken], pruned: Collection[int]) -> TiktokenTokenizer:
        """As of `BpeFormat`."""
        old = self._tokenizer
        if any(token.id < old.vocabulary.size for token in tokens):
            raise AddingError(
                f"{old.name}: in a vocabulary of ranks an id says when a token is merged, so ids of pruned tokens "
                "cannot be reused: leave them unused, or write the tokenizer as a tokenizer.json first"
            )
        ranks = {token: rank for token, rank in old.ranks.items() if rank + old.offset not in pruned}
        ranks |= {token.spelling: token.id - old.offset for token in tokens}
        return TiktokenTokenizer(ranks, pattern=old.pattern, specials=old.specials, offset=old.offset, name=old.name)
