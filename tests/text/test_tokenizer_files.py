"""Any tokenizer from its file or directory, or from the bytes that a checkpoint keeps."""

import base64
import json

import pytest

from lexitok.text.hugging_face_tokenizer import HuggingFaceTokenizer
from lexitok.text.padded_tokenizer import PaddedTokenizer
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.tiktoken_tokenizer import TiktokenTokenizer
from lexitok.text.token_bytes import from_byte_level
from lexitok.text.tokenizer_files import load_tokenizer, tokenizer_from_bytes

SAMPLE = "The snow's f\u00e4llt; \u96ea <|im_end|>\n\n".encode() + b"\xff"


@pytest.fixture(scope="module")
def files(made, tmp_path_factory):
    """One file of each kind, under names that do not give it away, but for the rank file."""
    at = tmp_path_factory.mktemp("files")
    (at / "a").write_bytes(made["byte_level"])
    text = [b"the snow falls; def split(text):\n    return text.split()\n"] * 9
    (at / "b").write_bytes(SentencePieceTokenizer.train(text, kind="bpe", size=300).to_bytes())
    ranks = {from_byte_level(t): i for t, i in json.loads(made["byte_level"])["model"]["vocab"].items()}
    entries = [(base64.b64encode(token).decode(), rank) for token, rank in sorted(ranks.items(), key=lambda e: e[1])]
    (at / "r50k_base.tiktoken").write_text("".join(f"{token} {rank}\n" for token, rank in entries))
    config = {"pattern": r"\w+|\W", "default_vocab_size": 1000 + len(ranks), "default_num_special_tokens": 1000}
    vocab = [{"rank": rank, "token_bytes": token} for token, rank in entries]
    (at / "c").write_text(json.dumps({"config": config, "vocab": vocab}))
    return at


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a", HuggingFaceTokenizer),
        ("b", SentencePieceTokenizer),
        ("r50k_base.tiktoken", TiktokenTokenizer),
        ("c", TiktokenTokenizer),
    ],
)
def test_files_are_told_apart_by_content(files, name, kind):
    """Llama 3 calls a rank file `tokenizer.model`, as SentencePiece does; checkpoints keep no name at all."""
    tokenizer = load_tokenizer(files / name)
    assert type(tokenizer) is kind
    again = tokenizer_from_bytes(tokenizer.to_bytes())
    assert type(again) is kind and again.vocabulary == tokenizer.vocabulary
    assert again.encode(SAMPLE).ids.tolist() == tokenizer.encode(SAMPLE).ids.tolist()


def test_padded(files):
    """A model's table may have more rows than the tokenizer has ids; a checkpoint keeps how many."""
    inner = load_tokenizer(files / "a")
    tokenizer = PaddedTokenizer(inner, inner.vocabulary.size + 3)
    again = tokenizer_from_bytes(tokenizer.to_bytes())
    assert again.vocabulary == tokenizer.vocabulary and again.vocabulary.size == inner.vocabulary.size + 3
    assert again.vocabulary.specials - inner.vocabulary.specials == set(range(again.vocabulary.size)[-3:])
    assert again.encode(SAMPLE).ids.tolist() == inner.encode(SAMPLE).ids.tolist()
    with pytest.raises(ValueError, match="does not fit into 3"):
        PaddedTokenizer(inner, 3)


def test_files_beside_it_say_what_specials_are_for(made, tmp_path):
    """`tokenizer_config.json` names the end of text; `generation_config.json` has it where that does not."""
    (tmp_path / "tokenizer.json").write_bytes(made["byte_level"])
    assert load_tokenizer(tmp_path).vocabulary.names[load_tokenizer(tmp_path).vocabulary.eot] == "<|endoftext|>"
    names = load_tokenizer(tmp_path).vocabulary.names
    im_start, im_end = (next(i for i, name in names.items() if name == f"<|im_{x}|>") for x in ("start", "end"))
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [im_end, 3], "bos_token_id": 99999}))
    assert load_tokenizer(tmp_path).vocabulary.eot == im_end
    config = {"eos_token": {"content": "<|im_start|>"}, "pad_token": "<tool>", "mask_token": "[not there]"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    vocabulary = load_tokenizer(tmp_path).vocabulary
    assert vocabulary.eot == im_start and vocabulary.names[vocabulary.pad] == "<tool>"
    assert "mask" not in vocabulary.roles
    again = tokenizer_from_bytes(load_tokenizer(tmp_path).to_bytes())
    assert again.vocabulary == vocabulary
    (tmp_path / "tokenizer_config.json").write_text("[]")
    with pytest.raises(ValueError, match=r"tokenizer_config\.json: holds list"):
        load_tokenizer(tmp_path)


def test_other_directories(files, tmp_path):
    """Without a `tokenizer.json`, the model's own file; without any, it is said what was looked for."""
    with pytest.raises(FileNotFoundError, match=r"none of tokenizer\.json, tekken\.json, tokenizer\.model"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes((files / "b").read_bytes())
    assert type(load_tokenizer(tmp_path)) is SentencePieceTokenizer
    (tmp_path / "tekken.json").write_bytes((files / "c").read_bytes())
    assert type(load_tokenizer(tmp_path)) is TiktokenTokenizer


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"{", b"{}", b"[1]", b'{"format": "lexitok tokenizer 1"}', b"\xff" * 9]
)
def test_unknown_files(tmp_path, data):
    """What is no tokenizer is named, with what could be there."""
    (tmp_path / "mine").write_bytes(data)
    with pytest.raises(ValueError, match="mine: .*(tekken|JSON|unknown kind)"):
        load_tokenizer(tmp_path / "mine")
    with pytest.raises(ValueError, match="^tokenizer: "):
        tokenizer_from_bytes(data)
    with pytest.raises(FileNotFoundError, match="no tokenizer at .*absent"):
        load_tokenizer(tmp_path / "absent")


def test_bytes_are_a_tokenizer_by_name(tmp_path, monkeypatch):
    """For models that are moved to bytes: each is a token, nothing is lost; a folder of that name is what it is."""
    tokenizer = load_tokenizer("bytes")
    data = "Größe\x00 世界".encode() + b"\xff<eos>"
    encoding = tokenizer.encode(data)
    assert encoding.ids.tolist() == list(data) and not encoding.lossy
    vocabulary = tokenizer.vocabulary
    assert (vocabulary.size, vocabulary.bos, vocabulary.eot, vocabulary.pad) == (259, 256, 257, 258)
    assert tokenizer_from_bytes(tokenizer.to_bytes()).vocabulary == vocabulary
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bytes").mkdir()
    with pytest.raises(FileNotFoundError, match="no tokenizer in bytes"):
        load_tokenizer("bytes")
