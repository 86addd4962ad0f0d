"""Tokens in tokens of another tokenizer: many at once as one by one, whatever library is asked."""

import numpy as np
import pytest
from samples import Pairs
from sentencepiece import sentencepiece_model_pb2

from lexitok.text.drawn.unigram import UnigramTokenizer
from lexitok.text.hugging_face_tokenizer import HuggingFaceTokenizer
from lexitok.text.padded_tokenizer import PaddedTokenizer
from lexitok.text.parts import Speller
from lexitok.text.patterns import GPT2
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.tiktoken_tokenizer import TiktokenTokenizer
from lexitok.text.vocabulary import BatchTokenizer

BYTES = [bytes([byte]) for byte in range(256)]
TEXT = b"The cat, the hat and 12 other things;\n    def f(x):\n        return x + 1\n" * 20
TOKENS = [
    *(b"cat", b" cat", b"the hat", b" ", b"  ", b"\n\n", b" the cat and", b"\xff", b"\x9fa", b"a\xc3", b"12", b"\0"),
    *map(str.encode, ("ß", " Größe", "世界", "▁", "a▁b", "⟨bos⟩", "<s>")),
]


def made(kind):
    if kind in ("bpe", "unigram"):
        return SentencePieceTokenizer.train([TEXT], kind=kind, size=320 if kind == "bpe" else 292)
    if kind == "tiktoken":
        ranks = {token: i for i, token in enumerate([*BYTES, b"th", b"the", b" t", b" c"])}
        return TiktokenTokenizer(ranks, pattern=GPT2, specials={"<s>": 260})
    if kind == "pairs":
        return Pairs()
    drawn = UnigramTokenizer([*BYTES, b"cat", b" the", b"ha"], np.full(259, -5.0))
    if kind == "drawn":
        return drawn
    written = HuggingFaceTokenizer(drawn.tokenizer_json(), roles={"bos": "⟨bos⟩"})
    return written if kind == "hugging_face" else PaddedTokenizer(written if kind == "padded" else Pairs(), 400)


KINDS = ("bpe", "unigram", "tiktoken", "drawn", "hugging_face", "padded", "padded_pairs", "pairs")


@pytest.mark.parametrize("kind", KINDS)
def test_all_at_once_is_one_by_one(kind):
    """A library that is asked for many texts must say the same as `encode`, or not be believed."""
    source = made(kind)
    assert isinstance(source, BatchTokenizer) == (kind != "pairs")

    class Alone:  # the same tokenizer without its quick way
        vocabulary, encode, to_bytes = source.vocabulary, source.encode, source.to_bytes

    quick, slow = Speller(source).all(TOKENS), Speller(Alone()).all(TOKENS)
    for token, one, other in zip(TOKENS, quick, slow, strict=True):
        assert one.tolist() == other.tolist(), token
        assert one.dtype == np.int32 and source.vocabulary.decode(one) == token
    assert Speller(source).all([]) == []


def test_a_space_that_is_put_before_texts_is_no_part():
    """As Llama 2's: all that the library says begins with a space, which tokens do not."""
    trained = SentencePieceTokenizer.train([TEXT], kind="bpe", size=320)
    proto = sentencepiece_model_pb2.ModelProto.FromString(trained.to_bytes())
    proto.normalizer_spec.add_dummy_prefix = True
    source = SentencePieceTokenizer(proto.SerializeToString())
    assert source.encode(b"cat").lossy
    for token, parts in zip(TOKENS, Speller(source).all(TOKENS), strict=True):
        assert source.vocabulary.decode(parts) == token
        np.testing.assert_array_equal(parts, Speller(source).parts(token))
