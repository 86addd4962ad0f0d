"""Tokenizers inside GGUF files: rebuilt as they were."""

import io
import json

import gguf
import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2

from lexitok.text.gguf_header import GgufError, read_gguf_header
from lexitok.text.gguf_tokenizer import gguf_tokenizer, load_gguf_tokenizer
from lexitok.text.hugging_face_tokenizer import HuggingFaceTokenizer
from lexitok.text.patterns import GGUF_PRE
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer

TEXT = [
    "def split(text):\n    return text.split()\n\n\n",
    "Der Schnee f\u00e4llt; \u96ea\u304c\u964d\u308b. 12 + 30\r\n",
] * 30
texts = st.lists(st.one_of(st.sampled_from(("\n\n", "   ", "split", "\u96ea", "<s>")), st.text(max_size=3))).map(
    "".join
)


def _model(**settings):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT),
        model_writer=out,
        vocab_size=320 if settings["model_type"] == "bpe" else 294,
        byte_fallback=True,
        remove_extra_whitespaces=False,
        user_defined_symbols=["\u2581\u2581", "\n\n"],
        control_symbols=["<start_of_turn>"],
        minloglevel=2,
        **settings,
    )
    return out.getvalue()


def _write(path, model, kind, **more):
    """As llama.cpp's conversion writes a SentencePiece model: with spaces in user-defined pieces."""
    proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    tokens = [p.piece.replace("\u2581", " ") if p.type == p.USER_DEFINED else p.piece for p in proto.pieces]
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_tokenizer_model(kind)
    writer.add_token_list(tokens)
    writer.add_token_scores([p.score for p in proto.pieces])
    writer.add_token_types([p.type for p in proto.pieces])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_space_prefix(proto.normalizer_spec.add_dummy_prefix)
    if proto.normalizer_spec.precompiled_charsmap:
        writer.add_precompiled_charsmap(proto.normalizer_spec.precompiled_charsmap)
    return _close(writer)


def _close(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def _write_byte_level(path, content, pre="gpt-2"):
    """As llama.cpp's conversion writes a byte-level `tokenizer.json`."""
    added = {token["id"]: token for token in content["added_tokens"]}
    spelled = {i: token for token, i in content["model"]["vocab"].items()} | {i: t["content"] for i, t in added.items()}
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([spelled[i] for i in range(len(spelled))])
    writer.add_token_types([1 if i not in added else 3 if added[i]["special"] else 4 for i in range(len(spelled))])
    writer.add_token_merges([" ".join(merge) for merge in content["model"]["merges"]])
    writer.add_eos_token_id(next(i for i, token in added.items() if token["special"]))
    return _close(writer)


@pytest.fixture(scope="module", params=["llama with prefix", "llama", "t5"])
def pair(request, tmp_path_factory):
    """The model itself, and the same out of a GGUF."""
    prefix, kind = "prefix" in request.param, request.param.split()[0]
    rules = {} if kind == "t5" else {"normalization_rule_name": "identity"}
    model = _model(model_type="unigram" if kind == "t5" else "bpe", add_dummy_prefix=prefix, **rules)
    path = tmp_path_factory.mktemp("gguf") / "a.gguf"
    _write(path, model, kind)
    return SentencePieceTokenizer(model), load_gguf_tokenizer(path)


@settings(max_examples=50)
@given(data=st.one_of(texts.map(str.encode), st.binary(max_size=12)))
def test_sentencepiece_as_before(pair, data):
    """The conversion to GGUF changes pieces and forgets flags; the tokens have to be the model's all the same."""
    before, after = (tokenizer.encode(data) for tokenizer in pair)
    assert after.ids.tolist() == before.ids.tolist()
    assert after.nbytes.tolist() == before.nbytes.tolist() and after.lossy == before.lossy


def test_sentencepiece_vocabulary_as_before(pair):
    """Bytes, specials and frames of every id."""
    before, after = (tokenizer.vocabulary for tokenizer in pair)
    assert after.token_bytes == before.token_bytes and after.specials == before.specials
    assert (after.bos, after.eot, after.roles) == (1, 2, before.roles) and after.names[
        after.roles["unknown"]
    ] == "<unk>"


@pytest.fixture(scope="module")
def byte_level(made, tmp_path_factory):
    content = json.loads(made["byte_level"])
    path = tmp_path_factory.mktemp("gguf") / "a.gguf"
    _write_byte_level(path, content)
    return HuggingFaceTokenizer(made["byte_level"]), load_gguf_tokenizer(path)


@settings(max_examples=50)
@given(data=st.one_of(texts.map(str.encode), st.binary(max_size=12)))
def test_byte_level_as_before(byte_level, data):
    """Pre-tokenizer and added tokens are rebuilt from their names and types."""
    before, after = byte_level
    assert after.encode(data).ids.tolist() == before.encode(data).ids.tolist()
    assert after.vocabulary.token_bytes == before.vocabulary.token_bytes
    assert after.vocabulary.names == before.vocabulary.names


@pytest.mark.parametrize("pre", GGUF_PRE)
def test_every_pre_tokenizer_cuts_text(made, tmp_path, pre):
    """A pattern that the library cannot read would be met only with the model that needs it."""
    _write_byte_level(tmp_path / "a.gguf", json.loads(made["byte_level"]), pre)
    tokenizer = load_gguf_tokenizer(tmp_path / "a.gguf")
    data = "The snow's  12345 f\u00e4llt!\n\n \u96ea\u304c\u964d\u308b.\r\n\tx = {'a': 1}".encode()
    encoding = tokenizer.encode(data)
    assert not encoding.lossy and tokenizer.vocabulary.decode(encoding.ids) == data
    assert b"12345" not in [tokenizer.vocabulary.token_bytes[i] for i in encoding.ids]


def test_unknown_kinds_list_what_is_known(made, tmp_path):
    """A tokenizer that is guessed gives tokens that are nearly right."""
    _write_byte_level(tmp_path / "a.gguf", json.loads(made["byte_level"]), "new-pre")
    with pytest.raises(GgufError, match=r"a\.gguf: tokenizer.ggml.pre is 'new-pre'.*llama-bpe, .*qwen2"):
        load_gguf_tokenizer(tmp_path / "a.gguf")
    header = read_gguf_header(tmp_path / "a.gguf")
    for key, value, message in (
        ("model", "rwkv", "of the kind 'rwkv'; there are llama, t5, gpt2"),
        ("tokens", [1], "is not a list of strings"),
        ("token_type", np.ones(3, np.int32), "tokens, but 3"),
        ("token_type", np.full(len(header["tokenizer.ggml.tokens"]), 9), "is of type 9"),
        ("eos_token_id", 10**6, "eos_token_id is 1000000"),
        ("merges", ["zz yy"], "cannot be rebuilt"),
    ):
        with pytest.raises(GgufError, match=message):
            gguf_tokenizer({**header, "tokenizer.ggml.pre": "gpt-2", f"tokenizer.ggml.{key}": value})


@pytest.fixture(scope="module")
def header_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "b.gguf"
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_array("a.strings", ["one", "", "\u96ea"])
    writer.add_array("a.numbers", [1.5, 2.5])
    writer.add_uint32("a.number", 7)
    writer.add_bool("a.flag", True)
    _close(writer)
    return path


def test_header_values(header_file):
    """What is written is what is read."""
    header = read_gguf_header(header_file)
    assert header["general.architecture"] == "llama" and header["a.strings"] == ["one", "", "\u96ea"]
    assert header["a.numbers"].tolist() == [1.5, 2.5] and (header["a.number"], header["a.flag"]) == (7, True)


@settings(max_examples=300)
@given(cut=st.integers(0, 400), place=st.integers(4, 250), value=st.integers(0, 255))
def test_damaged_headers_end_in_a_message(header_file, tmp_path_factory, cut, place, value):
    """Sizes that lie must neither crash nor allocate."""
    data = bytearray(header_file.read_bytes())
    data[min(place, len(data) - 1)] = value
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(data[: max(0, len(data) - (cut if cut < 200 else 0))])
    try:
        read_gguf_header(path)
    except GgufError as error:
        assert "damaged.gguf" in str(error)
