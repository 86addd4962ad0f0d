"""A tokenizer held against its library and the bytes of a text."""

import dataclasses

import numpy as np

from lexitok.text.hugging_face_tokenizer import HuggingFaceTokenizer
from lexitok.text.tokenizer_checks import check_tokenizer, describe

DOCUMENTS = [b"the snow", "f\u00e4llt".encode(), b"\xff the \xc3", b""]


class Changed:
    """A tokenizer whose encodings are changed behind its back."""

    def __init__(self, tokenizer, change):
        self.vocabulary, self._tokenizer, self._change = tokenizer.vocabulary, tokenizer, change

    def encode(self, data):
        return self._change(self._tokenizer.encode(data))

    def to_bytes(self):
        return self._tokenizer.to_bytes()

    def library_ids(self, text):
        return self._tokenizer.library_ids(text)


def test_a_good_tokenizer(made):
    """Nothing is wrong with it; bytes that are no text are not held against the library, which reads text."""
    check = check_tokenizer(HuggingFaceTokenizer(made["byte_level"]), DOCUMENTS)
    assert (check.documents, check.raw_bytes) == (4, sum(map(len, DOCUMENTS)))
    assert check.differing == () and check.broken == () and check.losses.exact
    assert "0 differ from the library; 0 broken" in check.line()


def test_other_tokens_than_the_library(made):
    """The documents are named whose tokens are not the library's."""

    def swap(encoding):
        return dataclasses.replace(encoding, ids=encoding.ids[::-1], nbytes=encoding.nbytes[::-1])

    assert check_tokenizer(Changed(HuggingFaceTokenizer(made["byte_level"]), swap), DOCUMENTS).differing == (0, 1)


def test_shares_that_do_not_add_up(made):
    """Every byte of a document has to be some token's."""

    def less(encoding):
        return dataclasses.replace(encoding, nbytes=np.maximum(encoding.nbytes - 1, 0))

    check = check_tokenizer(Changed(HuggingFaceTokenizer(made["byte_level"]), less), DOCUMENTS)
    assert check.broken == (0, 1, 2) and check.differing == ()


def test_a_vocabulary_described(made):
    """Size, roles, and the bytes that no token stands for."""
    described = describe(HuggingFaceTokenizer(made["word_piece"]).vocabulary)
    assert "roles: bos" in described and "single bytes missing: 2" in described
