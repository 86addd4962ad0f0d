"""A tokenizer whose tokens are merged further, always by the same merges."""

import base64
import json
from typing import Any

import numpy as np

from lexitok.text.merging.merges import Merge, MergedToken, MergeError, Merges
from lexitok.text.merging.words import sequence_of, word_starts
from lexitok.text.vocabulary import TOKENIZER_FORMAT, Encoding, Tokenizer

KIND = "merged"


class MergedTokenizer:
    """A tokenizer and merges.

    Attributes:
      tokenizer: whose tokens are merged.
      merges: of its vocabulary.
      words: that merges stay within (`lexitok.text.merging.words`).
      vocabulary: the tokenizer's ids, then the merged tokens.
    """

    def __init__(self, tokenizer: Tokenizer, merges: Merges, words: str):
        """Takes the parts.

        Raises:
          MergeError: merges of another vocabulary, or as `word_starts`.
        """
        if merges.vocabulary.fingerprint != tokenizer.vocabulary.fingerprint:
            raise MergeError("the merges are of another vocabulary than the tokenizer's")
        self.tokenizer, self.merges, self.words = tokenizer, merges, words
        self.vocabulary = merges.extended
        self._starts = word_starts(words, tokenizer)

    def encode(self, data: bytes) -> Encoding:
        """The tokens of any bytes, without `bos` and `eot`."""
        encoding = self.tokenizer.encode(data)
        (merged,) = self.merges.apply([sequence_of(encoding, self._starts(data))])
        return Encoding(merged.ids, merged.sums(encoding.nbytes).astype(np.int32), encoding.lossy)

    def to_bytes(self) -> bytes:
        """The tokenizer and the merges, as text (JSON), for `lexitok.text.tokenizer_files.tokenizer_from_bytes`."""
        content = {
            "format": TOKENIZER_FORMAT,
            "kind": KIND,
            "words": self.words,
            "merges": self.merges.steps,
            "tokens": [token.parts for token in self.merges.tokens],
            "tokenizer": base64.b64encode(self.tokenizer.to_bytes()).decode(),
        }
        return json.dumps(content).encode()


def with_merges(tokenizer: Tokenizer, content: dict[str, Any]) -> MergedTokenizer:
    """The merged tokenizer that the content of `to_bytes` says, of the tokenizer in it.

    Raises:
      MergeError: merges that no tokens lead to, or that make others; names the first.
    """
    vocabulary = tokenizer.vocabulary
    try:
        steps = tuple(Merge(*map(int, step)) for step in content["merges"])
        parts = [tuple(map(int, part)) for part in content["tokens"]]
        tokens = tuple(MergedToken(vocabulary.decode(part), part) for part in parts)
        words = str(content["words"])
    except (KeyError, TypeError, ValueError) as error:
        raise MergeError(f"damaged merges: {error!r}") from error
    merges = Merges(vocabulary, steps, tokens)
    spelled = merges.extended.token_bytes
    for number, step in enumerate(steps):
        if not all(0 <= i < len(spelled) for i in step[:3]) or (
            spelled[step.left] + spelled[step.right] != spelled[step.made]
        ):
            raise MergeError(f"merge {number} of {step.left} and {step.right} does not make {step.made}")
    return MergedTokenizer(tokenizer, merges, words)
