"""Tokenizers written as `tokenizer.json`: the library reads them and gives the same tokens."""

import io
import json

import pytest
import sentencepiece
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.text.hugging_face_tokenizer import HuggingFaceTokenizer
from lexitok.text.padded_tokenizer import PaddedTokenizer
from lexitok.text.patterns import CL100K
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.tiktoken_tokenizer import TiktokenTokenizer
from lexitok.text.token_bytes import from_byte_level
from lexitok.text.tokenizer_export import tokenizer_json

TEXT = [
    "def split(text):\n    return text.split()\n\n\n",
    "Der Schnee f\u00e4llt; \u96ea\u304c\u964d\u308b. 12 + 30\r\n",
] * 30
_PIECES = ("\n\n", "   ", "split", "\u96ea", "text", " re", "\U0001f600")
_USER = ["\u2581\u2581", "\n\n"]
texts = st.lists(st.one_of(st.sampled_from(_PIECES), st.text(max_size=3))).map("".join)


def _model(**settings):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT),
        model_writer=out,
        byte_fallback=True,
        minloglevel=2,
        **{"remove_extra_whitespaces": False, **settings},
    )
    return SentencePieceTokenizer(out.getvalue())


def _ranks(made):
    vocabulary = json.loads(made["byte_level"])["model"]["vocab"]
    ranks = {from_byte_level(token): rank for token, rank in vocabulary.items()}
    return TiktokenTokenizer(ranks, pattern=CL100K, specials={"<s>": 400, "</s>": 401})


@pytest.fixture(scope="module", params=["gemma", "llama", "t5", "ranks"])
def tokenizer(request, made):
    if request.param == "ranks":
        return _ranks(made)
    if request.param == "t5":
        return _model(model_type="unigram", vocab_size=292)
    identity = {"normalization_rule_name": "identity", "model_type": "bpe", "vocab_size": 318}
    if request.param == "llama":
        return _model(**identity)
    return _model(add_dummy_prefix=False, user_defined_symbols=_USER, **identity)


@pytest.fixture(scope="module")
def library_ids(tokenizer):
    """The library's tokens, as a function: the library itself is megabytes of text in a message of failure."""
    made = tokenizers.Tokenizer.from_str(tokenizer_json(tokenizer).decode())
    made.encode_special_tokens = True
    return lambda text, **options: made.encode(text, **options).ids


@settings(max_examples=60)
@given(text=texts)
def test_the_library_gives_the_same_tokens(tokenizer, library_ids, text):
    """Scores and ranks become merges: what other programs read has to be the same tokenizer."""
    text = text.replace("\u2581", "").replace("\0", "")
    if tokenizer.library_ids("\r") == tokenizer.library_ids("\n"):  # the library normalises graphemes, and \r\n is one
        text = text.replace("\r\n", "\n")
    wanted = tokenizer.library_ids(text)
    if wanted == tokenizer.library_ids("\x08"):  # which the T5's normalisation leaves nothing of
        wanted = wanted if text and library_ids(text, add_special_tokens=False) else []
    assert library_ids(text, add_special_tokens=False) == wanted
    assert library_ids(text) == [tokenizer.vocabulary.bos, *wanted]


def test_text_that_normalises_to_nothing(tokenizer, library_ids):
    """The one difference that is known: SentencePiece still puts its space in front, the library gives no token."""
    wanted, found = (ids("\x08") for ids in (tokenizer.library_ids, lambda text: library_ids(text)[1:]))
    normalised = len(wanted) == 1 and tokenizer.vocabulary.token_bytes[wanted[0]] == b" "
    assert found == ([] if normalised else wanted)


def test_read_back(tokenizer):
    """Bytes, specials and roles of every id are what they were."""
    again = HuggingFaceTokenizer(tokenizer_json(tokenizer)).vocabulary
    before = tokenizer.vocabulary
    assert again.token_bytes == before.token_bytes and again.names == before.names
    assert (again.roles, again.bos, again.eot) == (before.roles, before.bos, before.eot)


def test_given_as_it_was(made):
    """A file that is read is written unchanged, padded or not."""
    tokenizer = HuggingFaceTokenizer(made["word_piece"])
    assert tokenizer_json(PaddedTokenizer(tokenizer, 500)) == made["word_piece"]


def test_without_bos(made):
    """Some models want no special before a text."""
    library = tokenizers.Tokenizer.from_str(tokenizer_json(_ranks(made), bos="none").decode())
    assert library.encode("split").ids == _ranks(made).library_ids("split")


def test_what_cannot_be_written(made):
    """Half a tokenizer would give tokens that are nearly right."""
    with pytest.raises(ValueError, match="drops white space"):
        tokenizer_json(_model(remove_extra_whitespaces=True, model_type="bpe", vocab_size=300))
    with pytest.raises(ValueError, match="user-defined pieces"):
        tokenizer_json(_model(user_defined_symbols=_USER, model_type="bpe", vocab_size=300))
    with pytest.raises(ValueError, match="of words or characters"):
        tokenizer_json(_model(model_type="char", vocab_size=290))
    with pytest.raises(ValueError, match="bos is 'maybe'"):
        tokenizer_json(_ranks(made), bos="maybe")
