"""Specials behind the ids of tokenizers of every format; text is encoded as before."""

import numpy as np
import pytest
from greedy import SOURCE

from lexitok.text.added_specials import with_specials
from lexitok.text.hugging_face_tokenizer import HuggingFaceTokenizer
from lexitok.text.padded_tokenizer import PaddedTokenizer
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.tiktoken_tokenizer import TiktokenTokenizer
from lexitok.text.tokenizer_files import tokenizer_from_bytes

NEW = ("<start_of_turn>", "<|of a hat|>")
TEXT = "a text that spells <start_of_turn> and <|of a hat|>. \u96ea\n".encode()


def tokenizers(made):
    ranks = {bytes([b]): b for b in range(256)} | {b"th": 256}
    specials = {"<s>": 257, "</s>": 258}
    sentencepiece = SentencePieceTokenizer.train([TEXT * 20], kind="bpe", size=300)
    yield from (HuggingFaceTokenizer(made[kind]) for kind in made)
    yield sentencepiece
    yield TiktokenTokenizer(ranks, pattern=r"\w+|\W", specials=specials)
    yield PaddedTokenizer(sentencepiece, 310)


def test_added_specials_are_specials_and_change_nothing_else(made):
    """Ids from the last one on, names, roles, text that spells them, and the file that a checkpoint keeps."""
    for before in tokenizers(made):
        after = with_specials(before, NEW)
        old, new = before.vocabulary, after.vocabulary
        inner = before.tokenizer.vocabulary if isinstance(before, PaddedTokenizer) else old
        assert [new.names[inner.size + i] for i in range(2)] == list(NEW)
        assert new.specials == old.specials | {inner.size, inner.size + 1} and new.size == max(old.size, inner.size + 2)
        assert (new.bos, new.eot, new.pad) == (old.bos, old.eot, old.pad)
        assert {role: new.roles[role] for role in old.roles} == dict(old.roles)
        np.testing.assert_array_equal(after.encode(TEXT).ids, before.encode(TEXT).ids)
        again = tokenizer_from_bytes(after.to_bytes())
        assert again.vocabulary == new and again.encode(TEXT).ids.tolist() == after.encode(TEXT).ids.tolist()
        assert with_specials(before, ()) is before
        with pytest.raises(ValueError, match="'<start_of_turn>' cannot be added: it is empty, or there already"):
            with_specials(after, NEW[:1])


def test_what_is_text_already_is_no_special(made):
    """Two tokens of one spelling cannot be told apart; and of an unknown class nobody knows the file."""
    trained = SentencePieceTokenizer.train([TEXT], kind="bpe", size=290)
    for tokenizer in (HuggingFaceTokenizer(made["byte_level"]), trained):
        with pytest.raises(ValueError, match="'a' cannot be added: the tokenizer has it as text"):
            with_specials(tokenizer, ["a"])
    with pytest.raises(ValueError, match="cannot be added: it is empty"):
        with_specials(trained, ["<x>", "<x>"])
    with pytest.raises(ValueError, match="specials cannot be added to a Greedy"):
        with_specials(SOURCE, ["<x>"])
