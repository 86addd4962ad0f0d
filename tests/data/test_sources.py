"""Sources by one string: every kind read, every mistake met with a message that says what to do."""

import gzip
import json
import lzma
import sys

import pyarrow
import pyarrow.parquet
import pytest
import tensorflow_datasets as tfds
import zstandard

from lexitok.data import stdlib
from lexitok.data.prepare import split_of
from lexitok.data.readers import SourceError
from lexitok.data.sources import open_source

BYTES = [b"plain\n", b"\xff\x00 not text \x00", "\u96ea\u2581".encode()]


@pytest.fixture
def read(tmp_path):
    """All documents of a split, by name."""

    def read(spec, split="train", **settings):
        corpus = open_source(spec, split, cache=tmp_path / "cache", **settings)
        return {document.id: document.data for document in corpus.documents()}

    return read


def jsonl(texts, field="text"):
    return b"".join(json.dumps({field: text, "n": 1}).encode() + b"\n" for text in texts)


def test_text_files_are_kept_byte_by_byte(tmp_path, read):
    """Any bytes are a document: invalid UTF-8, NULs at the end, no newline at the end."""
    (tmp_path / "train" / "deep").mkdir(parents=True)
    for i, data in enumerate(BYTES):
        (tmp_path / "train" / "deep" / f"{i}.txt").write_bytes(data)
    spec = f"text:{tmp_path}/{{split}}/**/*.txt"
    assert read(spec) == {f"{spec}: deep/{i}.txt": data for i, data in enumerate(BYTES)}


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress), (".zst", zstandard.compress)],
)
def test_jsonl_plain_and_compressed(tmp_path, read, suffix, compress):
    """The formats in which text corpora come; lines are numbered so that a document can be found again."""
    for split, texts in {"train": ["a\nb", "", "\u96ea \ud800"], "test": ["t"]}.items():
        (tmp_path / f"{split}.jsonl{suffix}").write_bytes(compress(jsonl(texts, "body") + b"\n"))
    spec = f"jsonl:{tmp_path}/{{split}}.jsonl{suffix}"
    name = f"{spec}: train.jsonl{suffix}"
    expected = {f"{name}:1": b"a\nb", f"{name}:3": "\u96ea \ud800".encode("utf-8", "surrogatepass")}
    assert read(spec, field="body") == expected
    assert list(read(spec, "test", field="body").values()) == [b"t"]
    with pytest.raises(SourceError, match="no split 'validation'; there are 'train' .2 documents.*'test'"):
        read(spec, "validation", field="body")


def test_parquet(tmp_path, read):
    """Text and binary columns; null is an empty document, and skipped."""
    table = pyarrow.table({"text": ["a", None, "\u96ea"], "raw": [b"\xff", b"", b"\x00"]})
    pyarrow.parquet.write_table(table, tmp_path / "train.parquet")
    spec = f"parquet:{tmp_path}/{{split}}.parquet"
    assert sorted(read(spec).values()) == [b"a", "\u96ea".encode()]
    assert sorted(read(spec, field="raw").values()) == [b"\x00", b"\xff"]
    with pytest.raises(SourceError, match=r"train\.parquet: no column 'body'; there are \['text', 'raw'\]"):
        read(spec, field="body")


class LocalTexts(tfds.core.GeneratorBasedBuilder):
    """A data set of TFDS."""

    VERSION = tfds.core.Version("1.0.0")
    code_path = None

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"body": tfds.features.Text()}))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(), "test": self._generate_examples()}

    def _generate_examples(self):
        yield from ((i, {"body": text}) for i, text in enumerate(["one", "", "\u96ea"]))


def test_tfds(tmp_path, monkeypatch, read):
    """Any text data set of TFDS, with its own splits and slices of them; empty documents are kept and counted later."""
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    assert sorted(read("tfds:local_texts", field="body").values()) == [b"", b"one", "\u96ea".encode()]
    assert len(read("tfds:local_texts", "test[:2]", field="body")) == 2
    with pytest.raises(SourceError, match=r"no field 'text'; there are \['body'\]"):
        read("tfds:local_texts")
    with pytest.raises(SourceError, match="tfds:no_such_data_set: TFDS cannot open it"):
        read("tfds:no_such_data_set")


def test_documents_without_a_split_are_split_by_name(tmp_path, read):
    """The same document is in the same split wherever the folder lies and whatever else is in it."""
    for i in range(200):
        (tmp_path / f"{i}.md").write_bytes(b"%d" % i)
    found = {split: read(f"text:{tmp_path}/*.md", split) for split in ("train", "validation", "test")}
    assert sum(map(len, found.values())) == 200
    for split, documents in found.items():
        assert {split_of(name.split(": ")[1]) for name in documents} == {split}
    assert len(found["validation"]) < 30 > len(found["test"])
    assert [split_of(name) for name in ("a", "b.txt", "os.py", "3")] == ["train", "train", "train", "train"]


def test_order_is_fixed_and_not_that_of_the_files(tmp_path, read):
    """A stretch of the validation split has to be the same documents on every machine."""
    (tmp_path / "train.jsonl").write_bytes(jsonl(str(i) for i in range(50)))
    spec = f"jsonl:{tmp_path}/{{split}}.jsonl"
    order = list(read(spec).values())
    assert order != sorted(order, key=int) and list(read(spec).values()) == order
    corpus = open_source(spec, "train", cache=tmp_path / "other cache")
    assert [document.data for document in corpus.documents()] == order
    assert [corpus[i].data for i in range(len(corpus))] == order
    assert [document.data for document in corpus.documents(max_bytes=7)] == order[:4][
        : 3 + (len(b"".join(order[:4])) <= 7)
    ]
    assert len(list(corpus.documents(max_bytes=1))) == 1


def test_mixtures_take_turns_by_weight(tmp_path, read):
    """One string says what a model learns from."""
    for name, count in {"a": 30, "b": 30}.items():
        (tmp_path / f"{name}.train.jsonl").write_bytes(jsonl([name] * count))
    a, b = (f"jsonl:{tmp_path}/{name}.{{split}}.jsonl" for name in "ab")
    corpus = open_source(f"0.75*{a} + 0.25 * {b}", "train", cache=tmp_path / "cache")
    assert corpus.weights == (0.75, 0.25)
    drawn = [document.data for document in corpus.documents()]
    assert len(drawn) == 40 and drawn.count(b"a") == 30
    assert open_source(f"{a} + 2*{b}", "train", cache=tmp_path / "cache").weights == (1.0, 2.0)
    for weight in ("0", "1.2.3"):
        with pytest.raises(SourceError, match="a weight is a number above 0"):
            open_source(f"{weight}*{a}", "train", cache=tmp_path / "cache")


@pytest.mark.parametrize("spec", ["", "stdlb", "text:", "csv:a.csv", "stdlib:x", "stdlib+text:a"])
def test_unknown_sources_say_what_there_is(read, spec):
    """A typing mistake in a source."""
    with pytest.raises(SourceError, match="unknown source .*stdlib, digits, markov, text:GLOB, .*tfds:NAME"):
        read(spec)


def test_no_such_file(tmp_path, read):
    """With the folder from which a relative glob was looked up."""
    with pytest.raises(SourceError, match=r"no such file: nothing matches .*absent/\*\.txt .from /"):
        read(f"text:{tmp_path}/absent/*.txt")
    with pytest.raises(SourceError, match=r"train\.jsonl or .*validation\.jsonl or .*test\.jsonl"):
        read(f"jsonl:{tmp_path}/{{split}}.jsonl")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"text": "a"}\n{"text": \n', r"train\.jsonl:2: not JSON"),
        (b'{"text": "\xff"}\n', r"train\.jsonl:1: not JSON"),
        (b'{"body": "a"}\n', r"train\.jsonl:1: no field 'text'; there is 'body'.*data\.field"),
        (b'["text"]\n', r"train\.jsonl:1: no field 'text'; there is a list"),
        (b'{"text": 3}\n', r"train\.jsonl:1: field 'text' holds a int, not text"),
    ],
)
def test_bad_lines_are_named(tmp_path, read, content, message):
    """File and line: a corpus has millions of them."""
    (tmp_path / "train.jsonl").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read(f"jsonl:{tmp_path}/{{split}}.jsonl")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl.gz", gzip.compress(jsonl(["a" * 999]), mtime=0)[:-9]),
        ("a.jsonl.gz", b"no gzip"),
        ("a.jsonl.xz", lzma.compress(jsonl(["a" * 999]))[:-9]),
        ("a.jsonl.zst", b"no zstandard"),
        ("a.parquet", b"PAR1 cut off"),
    ],
)
def test_damaged_files_are_named(tmp_path, read, name, content):
    """Half a download must not become half a corpus."""
    (tmp_path / name).write_bytes(content)
    kind = name.split(".")[1]
    with pytest.raises(SourceError, match=rf"{name}: "):
        read(f"{kind}:{tmp_path}/{name}")


def test_stdlib_is_text_with_a_licence(tmp_path):
    """The embedded source: nothing to download, and known to the last byte for one version of Python."""
    corpus = open_source("stdlib", "train", cache=tmp_path)
    source = corpus.sources[0]
    assert "Python Software Foundation" in source.license and stdlib.revision() in source.description
    assert source.metadata["bytes"] > 5_000_000
    names = {document.id for document in corpus.documents()}
    assert any("asyncio/" in name for name in names) and any("pydoc_data/topics/" in name for name in names)
    assert not any("/test/" in name or "site-packages" in name for name in names)
    for split in ("validation", "test"):
        held_out = open_source("stdlib", split, cache=tmp_path)
        size = sum(len(document.data) for document in held_out.documents())
        assert size > 0.02 * source.metadata["bytes"]
        assert not names & {document.id for document in held_out.documents()}
    first = corpus[0]
    first.data.decode()
    assert first.data == (stdlib.stdlib_root() / first.id.removeprefix("stdlib: ")).read_bytes()


def test_tensorflow_is_not_imported(tmp_path, read, monkeypatch):
    """It is large, and takes seconds to import; TFDS must not pull it in where it happens to be installed."""
    tried = []

    class Notes:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] == "tensorflow":
                tried.append(name)

    monkeypatch.setattr(sys, "meta_path", [Notes(), *sys.meta_path])
    (tmp_path / "train.txt").write_bytes(b"x")
    assert list(read(f"text:{tmp_path}/{{split}}.txt").values()) == [b"x"]
    assert not tried and "tensorflow" not in sys.modules
