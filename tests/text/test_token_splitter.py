"""A tokenizer's tokens as units."""

import numpy as np
import pytest

from lexitok.text.segmentation import Splitter
from lexitok.text.splitters.tokens import TokenSplitter
from lexitok.text.vocabulary import Encoding, Vocabulary


class Fixed:
    """A tokenizer that gives the same encoding for every text."""

    def __init__(self, *nbytes: int, lossy: bool = False):
        self.vocabulary = Vocabulary((b"", b"a"), frozenset({0}), bos=0, eot=0, pad=0)
        self.encoding = Encoding(np.ones(len(nbytes), np.int32), np.array(nbytes, np.int32), lossy)

    def encode(self, data: bytes) -> Encoding:
        return self.encoding

    def to_bytes(self) -> bytes:
        return b""


def test_units_are_tokens():
    """Tokens of no bytes are no units, and longer ones than a unit may be are cut; no byte is lost."""
    splitter = TokenSplitter(Fixed(0, 1, 0, 5, 2, 0), max_unit_bytes=3)
    segmentation = splitter.split(b"abbbbbcc")
    assert segmentation.ends().tolist() == [1, 4, 6, 8]
    assert segmentation.closed.tolist() == [0] * 8 and segmentation.closed.dtype == np.int32
    assert isinstance(splitter, Splitter) and (splitter.name, splitter.causal) == ("tokens", False)
    assert splitter.vocabulary.token_bytes == (b"", b"a")


def test_empty_text():
    """An empty document has no units, and is no error."""
    assert len(TokenSplitter(Fixed(), 8).split(b"").ends()) == 0


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        (Fixed(2, lossy=True), "changes this text of 2 bytes, which begins b'ab'"),
        (Fixed(1), "stand for 1 bytes"),
        (Fixed(3, -1), "byte counts are wrong"),
    ],
)
def test_tokens_that_are_not_the_text_are_refused(tokenizer, message):
    """Units must be of the raw bytes: a normalised text would shift every boundary after it, unseen."""
    with pytest.raises(ValueError, match=message):
        TokenSplitter(tokenizer, 8).split(b"ab")


def test_there_is_no_stream():
    """A decoder must be told at once that such units cannot be found byte by byte, and what to do."""
    with pytest.raises(ValueError, match="'fused' or 'end_symbol'"):
        TokenSplitter(Fixed(1), 8).stream()
    with pytest.raises(ValueError, match="max_unit_bytes is 0"):
        TokenSplitter(Fixed(1), 0)
