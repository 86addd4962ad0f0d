"""SentencePiece as a tokenizer of bytes: exact where it was trained here, found out where it is lossy."""

import io
import pickle
import re

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.distill.shared_symbols import shared_symbols
from lexitok.text.matching import match
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.vocabulary import Vocabulary

TEXT = [
    b"def split(text):\n    return text.split()\n\n\nclass Splitter:\n\t'''Splits.'''\n",
    "Der Schnee f\u00e4llt; the snow falls, \u96ea\u304c\u964d\u308b. 12 + 30 = 42\r\n".encode(),
] * 30
# Bytes that are not UTF-8, the character that stands for a space, NUL, names of specials and of byte tokens.
NASTY = (
    "\u2581",
    "\u2585",
    "\0",
    "\t",
    "\r\n",
    "   ",
    "<s>",
    "</s>",
    "<unk>",
    "<0x41>",
    "\u00e9",
    "\u96ea",
    "text",
    "\n\n",
)
documents = st.lists(st.one_of(st.sampled_from([t.encode() for t in NASTY]), st.binary(max_size=4))).map(b"".join)


@pytest.fixture(scope="module", params=["bpe", "unigram", "supertoken_bpe"])
def tokenizer(request):
    return SentencePieceTokenizer.train(TEXT, kind=request.param, size=308 if request.param == "unigram" else 360)


@pytest.fixture(scope="module")
def bpe():
    return SentencePieceTokenizer.train(TEXT, kind="bpe", size=360)


@pytest.fixture(scope="module")
def normalising():
    """As SentencePiece trains by default: NFKC, a dummy prefix, spaces collapsed."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text.decode() for text in TEXT),
        model_writer=out,
        model_type="bpe",
        vocab_size=90,
        byte_fallback=False,
        minloglevel=2,
    )
    return SentencePieceTokenizer.from_bytes(out.getvalue())


@settings(deadline=None)
@given(data=documents)
def test_any_bytes_come_back(tokenizer, data):
    """A vocabulary trained here loses nothing, whatever the text: every bits-per-byte figure rests on it."""
    encoding = tokenizer.encode(data)
    assert not encoding.lossy
    assert tokenizer.decode(encoding.ids) == data
    assert encoding.nbytes.tolist() == [len(tokenizer.vocabulary.token_bytes[i]) for i in encoding.ids]
    assert encoding.nbytes.sum() == len(data)
    assert encoding.ids.dtype == encoding.nbytes.dtype == np.int32


@settings(deadline=None, max_examples=50)
@given(data=documents)
def test_words_on_their_own_give_the_tokens_of_the_whole(bpe, data):
    """BPE remembers words for speed; that must not change a token."""
    assert bpe._word is not None
    text = re.sub("[\u2581\0]", "", data.decode("utf-8", "ignore"))
    whole = sentencepiece.SentencePieceProcessor(model_proto=bpe.to_bytes()).encode(text)
    assert bpe.encode(text.encode()).ids.tolist() == whole


def test_whitespace_has_tokens(bpe):
    """Newlines are kept, and indentation is a token: code would else cost a token a space."""
    tokens = bpe.vocabulary.token_bytes
    assert any(b"\n" in token for token in tokens) and b"    " in tokens


def test_training_is_deterministic(request, tokenizer):
    """Two runs of one config have to agree on what an id means."""
    kind = request.node.callspec.params["tokenizer"]
    again = SentencePieceTokenizer.train(TEXT, kind=kind, size=tokenizer.vocabulary.size)
    assert again.to_bytes() == tokenizer.to_bytes()
    assert again.vocabulary.fingerprint == tokenizer.vocabulary.fingerprint


def test_saved_and_loaded(bpe, tmp_path):
    """Checkpoints hold a tokenizer as bytes, users as a file, worker processes get it pickled."""
    path = tmp_path / "a.model"
    path.write_bytes(bpe.to_bytes())
    for again in (SentencePieceTokenizer.load(path), pickle.loads(pickle.dumps(bpe))):
        assert again.vocabulary == bpe.vocabulary
        assert again.encode(TEXT[0]).ids.tolist() == bpe.encode(TEXT[0]).ids.tolist()


@settings(deadline=None)
@given(data=documents)
def test_lossy_texts_are_flagged_and_their_bytes_counted(normalising, data):
    """The denominator of bits per byte is the raw document, whatever the tokenizer made of it."""
    encoding = normalising.encode(data)
    assert encoding.lossy == (normalising.decode(encoding.ids) != data)
    assert encoding.nbytes.sum() == len(data)
    assert (encoding.nbytes >= 0).all() and len(encoding.ids) == len(encoding.nbytes)


@pytest.mark.parametrize("data", [b"two  spaces", "\ufb01ne".encode(), b" ", b"\xff", "\u2603".encode()])
def test_normalisation_is_lossy(normalising, data):
    """Collapsed spaces, NFKC, dropped whitespace, unknown characters: each changes the text."""
    assert normalising.encode(data).lossy


@pytest.mark.parametrize("content", [b"", b"no model", b"\x0a\x02"])
def test_a_bad_model_file_is_named(tmp_path, content):
    """A wrong path or half a download is met before training starts."""
    path = tmp_path / "bad.model"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.model: not a SentencePiece model"):
        SentencePieceTokenizer.load(path)
    with pytest.raises(FileNotFoundError, match="no SentencePiece model at .*absent"):
        SentencePieceTokenizer.load(tmp_path / "absent.model")


@pytest.mark.parametrize(("kind", "size"), [("bpe", 100), ("bpe", 100_000), ("unigram", 100_000), ("wordpiece", 300)])
def test_vocabularies_that_cannot_be_trained(kind, size):
    """Too small for the characters, too large for the text, or of a kind that does not exist."""
    with pytest.raises(ValueError, match=f"{kind}"):
        SentencePieceTokenizer.train(TEXT, kind=kind, size=size)


def test_no_text_to_train_on():
    """An empty source must not end in a crash of the library."""
    with pytest.raises(ValueError, match="cannot train"):
        SentencePieceTokenizer.train([b"", b"\xff"], kind="bpe", size=300)


def test_ids_out_of_range(bpe):
    """SentencePiece itself would raise an IndexError without the place, or none."""
    with pytest.raises(ValueError, match="outside the vocabulary"):
        bpe.decode([bpe.vocabulary.size])


def test_of_two_ids_of_a_byte_the_first_is_what_text_has(tokenizer):
    """The tokens of byte fallback lie in front, and no text that is spelled out ever comes to them."""
    vocabulary = tokenizer.vocabulary
    assert len(vocabulary.byte_fallback) == 256
    twice = {token: ids for token, ids in vocabulary.ids_of_bytes.items() if len(ids) > 1}
    assert len(twice) > 20
    for token, (piece, fallback) in twice.items():
        assert fallback in vocabulary.byte_fallback and piece not in vocabulary.byte_fallback
        assert fallback not in tokenizer.encode(b"x" + token + token).ids
    assert vocabulary.ids_of_bytes[b"\xff"] == (min(vocabulary.byte_fallback) + 255,)


def test_bytes_take_the_rows_of_pieces(tokenizer):
    """A tokenizer with one token a byte, as ByteLevel ones: its letters are the letters of text and not fallback."""
    every = tuple(bytes([byte]) for byte in range(256))
    source, one_each = tokenizer.vocabulary, Vocabulary((*every, b""), frozenset({256}), bos=256, eot=256, pad=256)
    found = match(source, one_each).ids_V
    for byte in set(b"".join(TEXT)) & set(range(128)):
        (i,) = (i for i in one_each.ids_of_bytes[bytes([byte])])
        assert found[i] == source.ids_of_bytes[bytes([byte])][0]
    shared = shared_symbols(one_each, source)
    assert set(shared.teacher.tolist()) >= set(tokenizer.encode(b"a b c").ids) & set(found.tolist())
    there = source.byte_fallback & set(shared.teacher.tolist())
    assert all(len(source.ids_of_bytes[source.token_bytes[i]]) == 1 for i in there)
    again = match(source, source)
    assert (again.ids_V == np.arange(source.size))[sorted(set(range(source.size)) - source.specials)].all()
