"""The audit finds what was planted, and nothing where all is right."""

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from samples import Greedy

from lexitok.text.audit import (
    MISCOUNTS,
    AuditError,
    TokenLog,
    audit,
    changed_tokens,
    drift,
    read_log,
    write_log,
)
from lexitok.text.vocabulary import Encoding, Vocabulary

FALLBACK = tuple(bytes([byte]) for byte in range(256))
LONGER = (b" the", b"the", " größe".encode(), b" a", "ö".encode(), "世界".encode(), b"12", b"  ", b" .")


class Pieces(Greedy):
    """Byte fallback behind longer pieces, as SentencePiece has them, and some single characters beside it."""

    def __init__(self):
        tokens = (b"", b"", *FALLBACK, *LONGER, b" ", b"e", b"x")
        super().__init__(Vocabulary(tokens, frozenset((0, 1)), bos=0, eot=1, pad=1))


class Lowers(Pieces):
    """A tokenizer that normalises."""

    def encode(self, data: bytes) -> Encoding:
        encoding = super().encode(data.lower())
        return dataclasses.replace(encoding, lossy=data != data.lower())


class Prefixed(Pieces):
    """A tokenizer that puts a space before every text."""

    def encode(self, data: bytes) -> Encoding:
        encoding = super().encode(b" " + data)
        nbytes = encoding.nbytes.copy()
        nbytes[0] -= 1
        return Encoding(encoding.ids, nbytes, lossy=True)


TEXTS = [("one", "the größe of 世界 é 12  x".encode()), ("two", b"the cats . a b \xff"), ("none", b"")]
PIECES = Pieces()


def logs(tokenizer=PIECES, lengths=None, frame=True):
    """A log of each text: every token takes its place in nats, and `bos` and `eot` stand around if asked for."""
    for _, data in TEXTS:
        ids = tokenizer.encode(data).ids.astype(np.int64)
        ids = np.array([0, *ids, 1]) if frame else ids
        nats = np.arange(len(ids), dtype=np.float64)
        if frame:
            nats[0] = np.nan
        yield TokenLog(ids, nats, None if lengths is None else lengths[ids].astype(np.int64))


def test_what_is_right_is_found_right():
    """Numerator, denominator and specials by hand, and not a word of anything else."""
    found = audit(PIECES, TEXTS, logs(lengths=PIECES.vocabulary.lengths))
    counts = [len(PIECES.encode(data).ids) for _, data in TEXTS]
    nbytes = sum(len(data) for _, data in TEXTS)
    nats = sum(sum(range(1, n + 1)) for n in counts)
    assert found.lossless and found.fraction_scored == 1 and found.claims.differing == 0
    assert found.bpb == nats / (math.log(2) * nbytes)
    said = found.to_json()
    assert (said["nats"], said["scored_bytes"], said["specials"]) == (nats, nbytes, 6)
    assert said["special_nats"] == sum(n + 1 for n in counts)
    assert [d["tokens"] for d in said["documents"]] == counts
    assert "the same, document by document" in found.lines()[0] and "are right" in found.lines()[1]
    json.dumps(said, allow_nan=False)


@pytest.mark.parametrize("name", MISCOUNTS)
def test_a_planted_miscount_is_named(name):
    """By what was counted of tokens, with how many, the first of them, and what it does to the number."""
    lengths = MISCOUNTS[name].lengths(PIECES.vocabulary)
    found = audit(PIECES, TEXTS, logs(lengths=lengths))
    ids = np.concatenate([PIECES.encode(data).ids for _, data in TEXTS])
    exact = PIECES.vocabulary.lengths
    wrong = int((lengths[ids] != exact[ids]).sum())
    claims = found.claims
    assert wrong > 0 and claims.differing == wrong and claims.explained[name] == wrong
    assert [other for other, n in claims.explained.items() if n == wrong] == [name]
    number, at, i, said, there = claims.first
    assert said == lengths[i] and there == exact[i] and PIECES.encode(TEXTS[number][1]).ids[at] == i
    per_cent = found.mistaken()[name]["per_cent"]
    assert per_cent == pytest.approx(100 * (exact[ids].sum() / lengths[ids].sum() - 1))
    assert found.mistaken()[name]["bpb"] == pytest.approx(found.bpb * (1 + per_cent / 100))
    assert any(f"`{name}`" in line and str(wrong) in line for line in found.lines())


def test_what_specials_and_means_and_cuts_would_give():
    """Each by hand, from the same numbers."""
    found = audit(PIECES, TEXTS, logs(), window=3)
    mistakes, nbytes = found.mistaken(), sum(len(data) for _, data in TEXTS)
    counts = [len(PIECES.encode(data).ids) for _, data in TEXTS]
    nats = [sum(range(1, n + 1)) for n in counts]
    ends = sum(n + 1 for n in counts)
    assert mistakes["specials in the numerator"]["bpb"] == (sum(nats) + ends) / (math.log(2) * nbytes)
    mean = np.mean([n / (math.log(2) * len(data)) for n, (_, data) in zip(nats, TEXTS, strict=True) if data])
    assert mistakes["the mean of the documents"]["bpb"] == pytest.approx(mean)
    cut = mistakes["documents cut at 3 tokens, divided by their full length"]
    assert cut["bpb"] == pytest.approx(12 / (math.log(2) * nbytes)) and cut["per_cent"] < -50


def test_mistakes_are_about_what_was_scored():
    """A token that no model was asked of is in no number, and so in no miscount of it; a text that is left out neither,
    nor are its specials."""
    (one, *_), own = logs(), PIECES.encode(TEXTS[0][1]).ids
    one.nats[1] = np.nan  # the first token of text
    other = TokenLog(np.array([*PIECES.encode(b"no").ids, 1]), np.ones(3))
    found = audit(PIECES, [TEXTS[0], ("other", b"yes")], [one, other])
    exact, marked = PIECES.vocabulary.lengths, MISCOUNTS["mark as written"].lengths(PIECES.vocabulary)
    assert found.total("scored_bytes") == exact[own[1:]].sum()
    per_cent = found.mistaken()["mark as written"]["per_cent"]
    assert per_cent == pytest.approx(100 * (exact[own[1:]].sum() / marked[own[1:]].sum() - 1))
    assert found.to_json()["special_nats"] == one.nats[-1]


class Trims(Pieces):
    """A tokenizer that drops white space at the end: its tokens are the text's beginning, and stand for all of it."""

    def encode(self, data: bytes) -> Encoding:
        encoding = super().encode(data.rstrip())
        nbytes = encoding.nbytes.copy()
        nbytes[-1] += len(data) - len(data.rstrip())
        return dataclasses.replace(encoding, nbytes=nbytes, lossy=data != data.rstrip())


def test_what_a_tokenizer_drops_at_the_end_is_not_cut():
    """The denominator is the raw text."""
    found = audit(Trims(), [("spaced", b"the cats  ")])
    assert not found.lossless and found.fraction_scored == 1
    assert found.mistaken()["the tokens' bytes for the text's"]["per_cent"] == pytest.approx(25)


def test_a_log_that_is_cut_is_of_what_it_has():
    """The rest is in no denominator, and what it would do there is said."""
    cut = [TokenLog(log.ids[:5], log.nats[:5]) for log in logs()]
    found = audit(PIECES, TEXTS, cut)
    covered = [int(PIECES.vocabulary.lengths[log.ids].sum()) for log in cut]
    assert not found.lossless and found.total("scored_bytes") == sum(covered) < found.total("nbytes")
    assert found.bpb == pytest.approx(20 / (math.log(2) * sum(covered)))
    assert found.mistaken()["what was not scored in the denominator"]["bpb"] == pytest.approx(
        20 / (math.log(2) * found.total("nbytes"))
    )
    assert f"tokens stand for the first {covered[0]} of {len(TEXTS[0][1])} bytes" in "\n".join(found.lines())


def test_a_tokenizer_that_normalises_is_measured_by_the_source():
    """Its own tokens have their shares of the raw text; the first that says something else is named. Another
    tokenisation of another text has no shares, and is left out."""
    texts = [("upper", b"x THE CATS"), ("lower", b"the cats")]
    found = audit(Lowers(), texts)
    assert not found.lossless and found.fraction_scored == 1
    wrong = found.documents[0].wrong
    assert (wrong.offset, wrong.token, wrong.text) == (1, b" the", b" THE") and found.documents[1].wrong is None
    other = np.array([PIECES.encode(bytes([b])).ids[0] for b in b"x the cats"], np.int64)
    given = [TokenLog(other, np.ones(10)), TokenLog(PIECES.encode(b"the cats").ids.astype(np.int64), np.ones(6))]
    found = audit(Lowers(), texts, given)
    assert found.total("scored_bytes") == 8 and found.bpb == 6 / (math.log(2) * 8)
    assert "left out of bits per byte" in "\n".join(found.lines())
    assert "stands for b'T'" not in "\n".join(found.lines()) and found.documents[0].wrong.text == b"T"


@pytest.mark.parametrize("own", [True, False])
def test_a_space_before_the_text_is_no_byte_of_it(own):
    """Whether the tokenizer puts it there or somebody did."""
    given = [TokenLog(log.ids, np.ones(len(log.ids))) for log in logs(Prefixed(), frame=False)]
    found = audit(Prefixed() if own else PIECES, TEXTS[:2], given[:2])
    nbytes = sum(len(data) for _, data in TEXTS[:2])
    assert found.total("scored_bytes") == nbytes and found.total("token_bytes") == nbytes + 2
    assert not found.lossless and found.fraction_scored == 1
    assert found.mistaken()["the tokens' bytes for the text's"]["per_cent"] == pytest.approx(
        100 * (nbytes / (nbytes + 2) - 1)
    )


def test_logs_come_back_as_they_were(tmp_path):
    """To the last digit; what was not scored stays so."""
    before = list(logs(lengths=PIECES.vocabulary.lengths))
    before[1].nats[2] = 0.1 + 0.2
    write_log(tmp_path / "log.jsonl", before)
    for a, b in zip(before, read_log(tmp_path / "log.jsonl"), strict=True):
        for name in ("ids", "nats", "nbytes"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1, 2]", "1 is no document"),
        ("{}", "no ids"),
        ('{"ids": [1.5]}', "ids is no list of integers"),
        ('{"ids": [[1]]}', "ids is no list of integers"),
        ('{"ids": [1], "logprobs": [0.5]}', r"logprobs\[0\] is 0.5, which is no logarithm"),
        ('{"ids": [1], "logprobs": [-Infinity]}', "no logarithm"),
        ('{"ids": [1], "logprobs": [NaN]}', r"logprobs\[0\] is nan, which is no logarithm"),
        ('{"ids": [1, 2], "logprobs": [-0.5]}', "there are 2 ids and 1 nats"),
        ('{"ids": [1], "bytes": ["a"]}', "bytes is no list of integers"),
        ('{"ids": [99999999999999999999]}', "1 is no document"),
        ("{", "1 is no document"),
    ],
)
def test_what_is_no_log_is_named(line, message, tmp_path):
    """With its file and line."""
    (tmp_path / "log.jsonl").write_text(line + "\n")
    with pytest.raises(AuditError, match=f"log.jsonl:.*{message}"):
        list(read_log(tmp_path / "log.jsonl"))
    with pytest.raises(AuditError, match="none.jsonl cannot be read: No such file"):
        list(read_log(tmp_path / "none.jsonl"))


def test_logs_of_another_text_are_refused():
    """More of one than of the other, or ids that there are not."""
    with pytest.raises(AuditError, match="text goes on behind document 2"):
        audit(PIECES, TEXTS, list(logs())[:2])
    with pytest.raises(AuditError, match="log goes on behind document 2"):
        audit(PIECES, TEXTS[:2], logs())
    with pytest.raises(AuditError, match=r"two: token 1 is id 900, and the vocabulary ends at \d+"):
        audit(PIECES, TEXTS[1:2], [TokenLog(np.array([2, 900]))])


def test_what_was_written_is_read_again():
    """Tokens that would be others, at their bytes; specials are none; a character may be cut by the end alone."""
    ids = {token: i for i, token in enumerate(PIECES.vocabulary.token_bytes)}
    own = [0, ids[b"the"], ids[b" a"], 1]
    split = [ids[b"t"], ids[b"h"], ids[b"e"], ids[b" a"]]
    cut, broken = [ids[b"\xc3"]], [ids[b"\xc3"], ids[b" a"]]
    assert changed_tokens(PIECES, split).tolist() == [True, True, True, False]
    found = drift(PIECES, [own, cut, split, broken, []])
    assert dataclasses.astuple(found) == (5, 9, 1, 3, 1, 2, 3)
    assert "of 1 texts (the first: number 2)" in found.line() and "1 are no UTF-8 (the first: number 3)" in found.line()
    spaced = Prefixed().encode(b"the cats").ids
    assert not changed_tokens(Prefixed(), spaced).any()
    with pytest.raises(AuditError, match="text 0 that was written: .*id 900 at position 0"):
        drift(PIECES, [[900]])


def test_no_jax_is_needed():
    """A question about a tokenizer is answered in a second."""
    code = "import sys, lexitok.text.audit, lexitok.data.given; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
