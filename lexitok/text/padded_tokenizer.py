"""A tokenizer for a model whose table has more rows than the tokenizer has ids."""

import base64
import json
from collections.abc import Sequence

from lexitok.text.vocabulary import TOKENIZER_FORMAT, BatchTokenizer, Encoding, Tokenizer

KIND = "padded"


class PaddedTokenizer:
    """A tokenizer with specials behind its ids that never come up.

    Attributes:
      tokenizer: does the encoding.
      vocabulary: its ids and the others.
    """

    def __init__(self, tokenizer: Tokenizer, size: int):
        """Args: a tokenizer, and ids in all: the rows of the model's table.

        Raises:
          ValueError: the tokenizer has more ids than that.
        """
        self.tokenizer, self._size = tokenizer, size
        self.vocabulary = tokenizer.vocabulary.padded(size)

    def encode(self, data: bytes) -> Encoding:
        """The tokens of any bytes, without `bos` and `eot`."""
        return self.tokenizer.encode(data)

    def batch_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """See `lexitok.text.vocabulary.BatchTokenizer`."""
        if isinstance(self.tokenizer, BatchTokenizer):
            return self.tokenizer.batch_ids(texts)
        return [self.tokenizer.encode(text.encode()).ids.tolist() for text in texts]

    def to_bytes(self) -> bytes:
        """The tokenizer and the size, as text (JSON)."""
        inner = base64.b64encode(self.tokenizer.to_bytes()).decode()
        return json.dumps({"format": TOKENIZER_FORMAT, "kind": KIND, "size": self._size, "tokenizer": inner}).encode()
