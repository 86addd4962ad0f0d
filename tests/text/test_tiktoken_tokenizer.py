"""Rank files and Tekken: the library's tokens, for any bytes."""

import base64
import json
import pickle

import pytest
import tiktoken
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.text.patterns import GPT2, TEKKEN
from lexitok.text.rank_files import RANK_FILES, load_rank_file
from lexitok.text.tiktoken_tokenizer import TiktokenTokenizer
from lexitok.text.token_bytes import from_byte_level

texts = st.lists(st.one_of(st.sampled_from(("<|end|>", " the", "\n\n ", "snow's", "42")), st.text(max_size=3))).map(
    "".join
)


@pytest.fixture(scope="module")
def ranks(made):
    vocabulary = json.loads(made["byte_level"])["model"]["vocab"]
    return {from_byte_level(token): rank for token, rank in vocabulary.items()}


@pytest.fixture(scope="module")
def rank_file(ranks):
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items())


@pytest.fixture(scope="module")
def gpt2(rank_file, ranks):
    return TiktokenTokenizer.from_rank_file(rank_file, pattern=GPT2, specials={"<|end|>": len(ranks) + 5})


def _tekken(ranks, **more):
    config = {"pattern": TEKKEN, "default_vocab_size": 1000 + len(ranks) - 5, "default_num_special_tokens": 1000}
    vocab = [{"rank": rank, "token_bytes": base64.b64encode(token).decode()} for token, rank in ranks.items()]
    vocab.sort(key=lambda entry: entry["rank"])
    return json.dumps({"config": config, "vocab": vocab, **more}).encode()


@settings(max_examples=50)
@given(text=texts)
def test_the_librarys_own_tokens(gpt2, ranks, made, text):
    """Ids are those of tiktoken, and of the byte-level BPE that the ranks come from."""
    library = tiktoken.Encoding("gpt2", pat_str=GPT2, mergeable_ranks=ranks, special_tokens={"<|end|>": len(ranks) + 5})
    encoding = gpt2.encode(text.encode())
    assert encoding.ids.tolist() == library.encode_ordinary(text)
    plain = json.loads(made["byte_level"]) | {"added_tokens": []}
    other = tokenizers.Tokenizer.from_str(json.dumps(plain))
    assert encoding.ids.tolist() == other.encode(text).ids


@settings(max_examples=50)
@given(data=st.binary(max_size=20))
def test_any_bytes_come_back(gpt2, data):
    """Invalid UTF-8 goes around the library, which would replace it."""
    encoding = gpt2.encode(data)
    assert gpt2.vocabulary.decode(encoding.ids) == data and not encoding.lossy
    assert encoding.nbytes.tolist() == [len(gpt2.vocabulary.token_bytes[i]) for i in encoding.ids]


def test_specials_and_holes(gpt2, ranks):
    """Ids between the ranks and the specials stand for nothing; a spelled special is text."""
    vocabulary = gpt2.vocabulary
    assert vocabulary.size == len(ranks) + 6 and vocabulary.names == {len(ranks) + 5: "<|end|>"}
    assert vocabulary.specials == set(range(len(ranks), len(ranks) + 6)) and vocabulary.eot == len(ranks) + 5
    assert vocabulary.decode(gpt2.encode(b"<|end|>").ids) == b"<|end|>"


def test_tekken(ranks):
    """Specials come first, and ranks beyond the size that the file gives are not used."""
    tokenizer = TiktokenTokenizer.from_tekken(_tekken(ranks))
    vocabulary = tokenizer.vocabulary
    assert vocabulary.size == 1000 + len(ranks) - 5
    assert (vocabulary.bos, vocabulary.eot, vocabulary.pad) == (1, 2, 11) and vocabulary.roles["user"] == 3
    assert vocabulary.names[19] == "[TOOL_CONTENT]" and vocabulary.names[20] == "<SPECIAL_20>"
    assert tokenizer.encode(b"\xff").ids.tolist() == [1000 + ranks[b"\xff"]]
    listed = [{"rank": 0, "token_str": "<s>"}, {"rank": 1, "token_str": "<pad>"}]
    assert TiktokenTokenizer.from_tekken(_tekken(ranks, special_tokens=listed)).vocabulary.bos == 0


def test_a_million_spaces(gpt2):
    """The library's pattern runs out of stack on them; a document must not be lost by that."""
    data = b" " * 1_000_000
    encoding = gpt2.encode(data)
    assert encoding.nbytes.sum() == len(data) and not encoding.lossy


def test_kept_and_sent(gpt2):
    """Checkpoints hold a tokenizer as bytes, worker processes get it pickled."""
    for again in (TiktokenTokenizer.from_bytes(gpt2.to_bytes()), pickle.loads(pickle.dumps(gpt2))):
        assert again.vocabulary == gpt2.vocabulary
        assert again.encode(b"the snow").ids.tolist() == gpt2.encode(b"the snow").ids.tolist()


def test_files_are_known_by_name(rank_file, ranks):
    """A rank file does not say its pattern: a wrong one gives other tokens, so none is guessed."""
    assert load_rank_file(rank_file, "r50k_base.tiktoken").vocabulary.names == {50256: "<|endoftext|>"}
    with pytest.raises(ValueError, match=r"mine\.tiktoken: a rank file says neither .* cl100k_base"):
        load_rank_file(rank_file, "mine.tiktoken")
    llama = RANK_FILES["llama3"][1]
    assert len(llama) == 256 and llama["<|eot_id|>"] == 128_009 and llama["<|reserved_special_token_250|>"] == 128_255


def test_damaged_files_are_refused(rank_file, ranks):
    """A missing byte would be met in the middle of an epoch."""
    without = {token: rank for token, rank in ranks.items() if token != b"\xff"}
    with pytest.raises(ValueError, match="1 of the 256 single bytes have no token, the first are ff"):
        TiktokenTokenizer(without, pattern=GPT2, specials={})
    with pytest.raises(ValueError, match=f"line {len(ranks) + 1}: not a token in base64"):
        TiktokenTokenizer.from_rank_file(rank_file + b"????\n", pattern=GPT2, specials={})
    with pytest.raises(ValueError, match="some the same"):
        TiktokenTokenizer(ranks, pattern=GPT2, specials={"<s>": 7})
    with pytest.raises(ValueError, match="refuses the pattern"):
        TiktokenTokenizer(ranks, pattern="(", specials={})
    for data in (b"{}", b"[]", _tekken(ranks)[:-20], b'{"config": {}, "vocab": []}'):
        with pytest.raises(ValueError, match="not a Tekken file"):
            TiktokenTokenizer.from_tekken(data)
        with pytest.raises(ValueError, match="not a tokenizer of the kind 'tiktoken'"):
            TiktokenTokenizer.from_bytes(data)
