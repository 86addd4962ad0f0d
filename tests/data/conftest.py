"""Encoders of every kind, and corpora in memory."""

import pytest

from lexitok.config import default_config
from lexitok.data.encoders import make_encoder
from lexitok.data.sources import Corpus, Source
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer

TEXT = b"The cat, the hat and 12 other things;\n    def f(x):\n        return x + 1\n" * 20


KINDS = ("bytes", "subword", "lagged", "end_symbol", "slots", "revealed", "fused", "model", "words")


@pytest.fixture(scope="session")
def encoders():
    """By name: each kind, and the boundary rules of byte units."""
    text = default_config().text
    text.splitter, text.max_unit_bytes = "whitespace", 12
    made = {}
    for boundary in ("lagged", "end_symbol", "revealed", "fused"):
        text.boundary = boundary
        made[boundary] = make_encoder(text)
    text.boundary, text.slots = "end_symbol", 3
    made["slots"] = make_encoder(text)
    text.boundary, text.slots, text.splitter = "revealed", 1, "model"
    made["model"] = make_encoder(text)
    text.boundary, text.splitter, text.max_unit_bytes = "lagged", "unicode_words", 64
    made["words"] = make_encoder(text)
    text.kind = "bytes"
    made["bytes"] = make_encoder(text)
    text.kind = "subword"
    made["subword"] = make_encoder(text, SentencePieceTokenizer.train([TEXT], kind="bpe", size=320))
    return made


@pytest.fixture(scope="session", params=KINDS)
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
