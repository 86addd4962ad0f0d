"""`Spelling`: the tokens of a vocabulary, spelled in tokens of another: what hypernetworks make their vectors of."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Int

from lexitok.text.matching import NONE, match
from lexitok.text.parts import Speller
from lexitok.text.vocabulary import Tokenizer, Vocabulary


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Spelling:
    """A vocabulary in tokens of another, the source; `Batch.vocabulary` where every batch has one of its own.

    Attributes:
      parts_VxP: int32, the ids of the source that spell a token, from the left; `NONE` (-1) behind the last. A token
        of the source's bytes, and a special that the source has, are one part. None at all: specials that the source
        has not, and ids that are never used.
      language: int32 scalar, of the texts that the vocabulary is for; 0 where there is one.
    """

    parts_VxP: Int[Array, "V P"] | Any
    language: Int[Array, ""] | Any


class Spelled:
    """Spells vocabularies in the tokens of one source; tokens that came before are not worked out again."""

    def __init__(self, source: Tokenizer, longest: int, specials: Mapping[int, int] | None = None):
        """Takes the source.

        Args:
          source: the tokenizer whose tokens are the parts.
          longest: `P`, parts of a token; further ones are left out.
          specials: as of `lexitok.text.matching.match`.

        Raises:
          ValueError: `longest` is below 1.
        """
        if longest < 1:
            raise ValueError(f"a token is to be spelled in {longest} parts; 1 is the least")
        self._source, self._longest, self._specials = source.vocabulary, longest, specials
        self._speller = Speller(source)
        self._known: dict[bytes, np.ndarray] = {}

    def __call__(self, target: Vocabulary, language: int = 0) -> Spelling:
        """The spelling of a vocabulary, numpy arrays.

        Raises:
          MatchError: as `match`, and where no tokens of the source spell a token.
        """
        found = match(self._source, target, self._specials)
        parts = np.full((target.size, self._longest), NONE, np.int32)
        parts[:, 0] = found.ids_V
        new = (target.token_bytes[i] for i in found.new.tolist())
        for i, spelled in zip(found.new.tolist(), self._all(new), strict=True):
            parts[i, : len(spelled)] = spelled
        return Spelling(parts, np.asarray(language, np.int32))

    def _all(self, tokens: Iterable[bytes]) -> Iterable[np.ndarray]:
        for token in tokens:
            if token not in self._known:
                self._known[token] = self._speller.parts(token)[: self._longest]
            yield self._known[token]
