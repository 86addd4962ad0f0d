"""`Spelling`: the tokens of a vocabulary, spelled in tokens of another: what hypernetworks make their vectors of."""

import dataclasses
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Int

from lexitok.text.matching import NONE, Matcher
from lexitok.text.parts import Speller
from lexitok.text.vocabulary import Tokenizer, Vocabulary

REMEMBERED = 1_000_000  # tokens: 0.2 GB


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Spelling:
    """A vocabulary in tokens of another, the source; `Batch.vocabulary` where every batch has one of its own.

    Attributes:
      parts_VxP: int32, the ids of the source that spell a token, from the left; `NONE` (-1) behind the last. A token
        of the source's bytes, and a special that the source has, are one part. None at all: specials that the source
        has not, and ids that are never used.
      language: int32 scalar, of the texts that the vocabulary is for; 0 where there is one.
      eot: int32 scalar, the id that ends documents; None: that of the text's own vocabulary.
    """

    parts_VxP: Int[Array, "V P"] | Any
    language: Int[Array, ""] | Any
    eot: Int[Array, ""] | Any = None


class Spelled:
    """Spells vocabularies in the tokens of one source; of the tokens that came last, parts are not worked out again.

    Attributes:
      asked: tokens that were to be spelled.
      worked_out: of those, the ones whose parts were not remembered.
    """

    def __init__(
        self,
        source: Tokenizer,
        longest: int,
        specials: Mapping[int, int] | None = None,
        *,
        remembered: int = REMEMBERED,
    ):
        """Takes the source.

        Args:
          source: the tokenizer whose tokens are the parts.
          longest: `P`, parts of a token; further ones are left out.
          specials: as of `lexitok.text.matching.match`.
          remembered: tokens at most whose parts are kept, those that were asked for last.

        Raises:
          ValueError: `longest` is below 1.
        """
        if longest < 1:
            raise ValueError(f"a token is to be spelled in {longest} parts; 1 is the least")
        self._match, self._longest, self._specials = Matcher(source.vocabulary), longest, specials
        self._speller = Speller(source)
        self._known: OrderedDict[bytes, bytes] = OrderedDict()  # rows of `parts_VxP`, those asked for last at the end
        self._remembered = remembered
        self.asked = self.worked_out = 0

    def __call__(self, target: Vocabulary, language: int = 0) -> Spelling:
        """The spelling of a vocabulary, numpy arrays.

        Raises:
          MatchError: as `match`, and where no tokens of the source spell a token.
        """
        found = self._match(target, self._specials)
        parts = np.full((target.size, self._longest), NONE, np.int32)
        parts[:, 0] = found.ids_V
        parts[found.new] = self._rows([target.token_bytes[i] for i in found.new.tolist()])
        return Spelling(parts, np.asarray(language, np.int32), np.asarray(target.eot, np.int32))

    def _rows(self, tokens: Sequence[bytes]) -> Int[np.ndarray, "n P"]:
        known = self._known
        unknown = [token for token in tokens if token not in known]
        self.asked, self.worked_out = self.asked + len(tokens), self.worked_out + len(unknown)
        spelled = np.full((len(unknown), self._longest), NONE, np.int32)
        for row, ids in zip(spelled, self._speller.all(unknown), strict=True):
            row[: len(ids)] = ids[: self._longest]
        known.update(zip(unknown, map(np.ndarray.tobytes, spelled), strict=True))
        rows = np.frombuffer(b"".join(map(known.__getitem__, tokens)), np.int32).reshape(-1, self._longest)
        for token in tokens:
            known.move_to_end(token)
        while len(known) > self._remembered:
            known.popitem(last=False)
        return rows
