"""What tokenizers lose is found, named and counted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.text.hugging_face_tokenizer import HuggingFaceTokenizer
from lexitok.text.tokenizer_losses import KINDS, report_losses


@pytest.fixture(scope="module")
def loaded(made):
    return {kind: HuggingFaceTokenizer(data) for kind, data in made.items()}


@pytest.mark.parametrize(
    ("kind", "text", "losses"),
    [
        ("byte_fallback", "the snow", [("dummy prefix", 0, b"", b" ")]),
        ("byte_fallback", "", []),
        ("byte_fallback_bare", "  the \u2581 \ufb01 \0", []),
        ("word_piece", "the  snow", [("spaces", 3, b"  ", b"")]),
        ("word_piece", "The snow", [("case", 0, b"T", b"t"), ("spaces", 3, b" ", b"")]),
        ("word_piece", "\u00c9 the", [("accents", 0, "\u00c9".encode(), b"e"), ("spaces", 2, b" ", b"")]),
        ("word_piece", "f\u00e4llt", [("accents", 1, "\u00e4".encode(), b"a")]),
        ("word_piece", "the\u200bsnow", [("dropped", 3, "\u200b".encode(), b"")]),
        ("word_piece", "the\u2603", [("unknown", 0, "the\u2603".encode(), b"")]),
        ("unigram", " sp\u3000lit", [("spaces", 3, "\u3000".encode(), b" ")]),
    ],
)
def test_kinds_and_places(loaded, kind, text, losses):
    """A user has to see what a figure in bits per byte leaves out."""
    report = report_losses(loaded[kind], [b"", text.encode()])
    found = [(loss.kind, loss.offset, loss.raw, loss.tokens) for loss in report.examples]
    assert found == losses and report.exact == (not losses)
    assert report.documents == 2 and report.documents_touched == bool(losses)
    assert report.bytes_touched == sum(len(raw) for _, _, raw, _ in losses)


def test_normal_forms(loaded):
    """NFKC makes one character of two, or two of one."""
    report = report_losses(loaded["unigram"], [" the \ufb01ne\u00a0snow".encode(), " \uff21".encode()])
    assert set(report.places) <= {"normal form", "unknown", "spaces"} and report.documents_touched == 2


def test_counts_and_examples(loaded):
    """All places are counted, and a few kept; the lines say both."""
    report = report_losses(loaded["word_piece"], [b"the snow falls the snow"] * 3, examples=2)
    assert report.places == {"spaces": 12} and report.bytes == {"spaces": 12} and len(report.examples) == 2
    assert report.documents_touched == 3 and report.raw_bytes == 3 * 23
    lines = report.lines()
    assert lines[0] == "3 of 3 documents, 12 of 69 bytes" and "spaces: 12 places, 12 bytes" in lines[1]


@settings(max_examples=60)
@given(data=st.one_of(st.text(max_size=12).map(str.encode), st.binary(max_size=12)))
def test_every_change_is_reported(loaded, data):
    """An encoding that is flagged has a place that says why, within the text; one that is not has none."""
    for kind in ("byte_level", "byte_level_prefixed", "metaspace", "unigram", "word_piece"):
        report = report_losses(loaded[kind], [data])
        assert bool(report.examples) == loaded[kind].encode(data).lossy == (not report.exact)
        for loss in report.examples:
            assert loss.kind in KINDS and data[loss.offset :].startswith(loss.raw)
        assert report.bytes_touched <= len(data)


def test_invalid_utf8(loaded):
    """Bytes that a vocabulary without byte tokens cannot hold."""
    report = report_losses(loaded["word_piece"], [b"the\xffsnow"])
    assert report.places == {"unknown": 1} and report.examples[0].raw == b"\xff"
