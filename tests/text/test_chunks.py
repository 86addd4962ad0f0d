"""Tokens that span words, learnt of text in random chunks."""

import numpy as np
import pytest

from lexitok.text.chunks import LONGEST_CHUNK, SHORTEST_CHUNK, random_chunks
from lexitok.text.hugging_face_tokenizer import HuggingFaceTokenizer
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.tokenizer_export import tokenizer_json

TEXT = [b"one of the cats sat on one of the mats. " * 3 + b"\nOf the mats one of the cats saw 12.\n"] * 40


def test_chunks_are_the_text():
    """Nothing is lost or moved; lengths have the mean that is said, and the same seed gives the same."""
    text = "".join(map(chr, range(0x100, 0x2100)))
    chunks = [*random_chunks([text, "", "ab"])]
    assert "".join(chunks) == text + "ab" and chunks[-1] == "ab" and [*random_chunks([text, "", "ab"])] == chunks
    lengths = np.array([*map(len, chunks)])[:-2]
    assert lengths.min() >= SHORTEST_CHUNK and lengths.max() <= LONGEST_CHUNK and abs(lengths.mean() - 13.3) < 0.5
    assert [*random_chunks([text], seed=1)] != chunks


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_supertokens_span_words_and_lose_nothing(kind):
    """Fewer tokens than without, every byte still there, also where the library `tokenizers` reads the exported one."""
    size = {"bpe": 308, "unigram": 283}[kind]
    plain = SentencePieceTokenizer.train(TEXT, kind=kind, size=size)
    spanning = SentencePieceTokenizer.train(TEXT, kind=f"supertoken_{kind}", size=size)
    assert any(token.strip().count(b" ") for token in spanning.vocabulary.token_bytes)
    assert not any(token.strip().count(b" ") for token in plain.vocabulary.token_bytes)
    text = b"one of the mats\xff, \xe4\xb8\x96 of the  cats\n"
    found = spanning.encode(text)
    assert not found.lossy and spanning.vocabulary.decode(found.ids) == text
    assert len(spanning.encode(TEXT[0]).ids) < len(plain.encode(TEXT[0]).ids)
    written = HuggingFaceTokenizer(tokenizer_json(spanning))
    assert written.vocabulary.token_bytes == spanning.vocabulary.token_bytes
    assert written.encode(TEXT[0]).ids.tolist() == spanning.encode(TEXT[0]).ids.tolist()
