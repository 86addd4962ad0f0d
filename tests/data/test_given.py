"""Files as they are given: by suffix or by kind, in order, none twice."""

import gzip
import json

import pytest

from lexitok.data.given import given_documents, given_files
from lexitok.data.readers import SourceError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"first")
    (tmp_path / "b.md").write_bytes(b"second")
    lines = [json.dumps({"text": text, "body": text.upper()}) for text in ("third", "fourth")]
    with gzip.open(tmp_path / "c.jsonl.gz", "wt") as file:
        file.write("\n".join(lines))
    return tmp_path


def test_a_suffix_says_the_kind(folder):
    """Behind that of a compression; whatever is no table is text."""
    assert [document.data for document in given_documents(f"{folder}/*")] == [b"first", b"second", b"third", b"fourth"]
    assert [d.data for d in given_documents(f"{folder}/c.jsonl.gz", field="body")] == [b"THIRD", b"FOURTH"]
    assert [d.data for d in given_documents(f"{folder}/*", max_bytes=6)] == [b"first", b"second"]


def test_a_kind_may_be_said(folder):
    """And then counts."""
    (folder / "lines.txt").write_text('{"text": "x"}\n')
    assert [d.data for d in given_documents(f"jsonl:{folder}/lines.txt")] == [b"x"]


@pytest.mark.parametrize(
    ("given", "message"), [("nowhere/*.txt", "no file nowhere"), ("jsonn:x", "of the kinds text, jsonl")]
)
def test_what_is_not_there_is_named(given, message):
    """Before anything is read."""
    with pytest.raises(SourceError, match=message):
        given_files(given)
