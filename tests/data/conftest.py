"""Encoders of every kind, and corpora in memory."""

import pytest

from lexitok.config import default_config
from lexitok.data.encoders import make_encoder
from lexitok.data.sources import Corpus, Source
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer

TEXT = b"The cat, the hat and 12 other things;\n    def f(x):\n        return x + 1\n" * 20


@pytest.fixture(scope="session")
def encoders():
    """By name: each kind, and the boundary rules of byte units."""
    text = default_config().text
    text.splitter = "whitespace"
    made = {}
    for boundary in ("lagged", "end_symbol"):
        text.boundary = boundary
        made[boundary] = make_encoder(text)
    text.splitter = "unicode_words"
    text.boundary = "lagged"
    made["words"] = make_encoder(text)
    text.kind = "bytes"
    made["bytes"] = make_encoder(text)
    text.kind = "subword"
    made["subword"] = make_encoder(text, SentencePieceTokenizer.train([TEXT], kind="bpe", size=320))
    return made


@pytest.fixture(scope="session", params=["bytes", "subword", "lagged", "end_symbol", "words"])
def encoder(request, encoders):
    return encoders[request.param]


@pytest.fixture(scope="session")
def corpus_of():
    """A function from documents (bytes), a list a source, to a corpus."""

    def make(*parts, weights=None):
        sources = tuple(
            Source(
                name=f"memory{number}",
                split="train",
                license="",
                description="",
                metadata={},
                _records=[{"id": str(i).encode(), "text": data} for i, data in enumerate(documents)],
                _field="text",
            )
            for number, documents in enumerate(parts)
        )
        return Corpus(sources, tuple(weights or [1.0] * len(parts)))

    return make
