"""Local sources are written once, whole or not at all."""

import errno
import os
import resource
import threading
import time

import pytest

import lexitok.data.prepare as prepare
from lexitok.data.readers import SourceError
from lexitok.data.sources import open_source


@pytest.fixture
def source(tmp_path):
    """A folder of documents, its string, and where it is prepared."""
    folder = tmp_path / "source"
    folder.mkdir()
    for i in range(30):
        (folder / f"{i}.txt").write_bytes(os.urandom(2000))
    return folder, f"text:{folder}/*.txt", tmp_path / "cache"


def contents(spec, cache):
    return {document.data for document in open_source(spec, "train", cache=cache).documents()}


def kept(cache):
    return sorted(path.name for path in (cache / "prepared").iterdir())


def test_written_once_and_reused(source, monkeypatch):
    """The second run of an experiment starts at once, and does not need the files."""
    _, spec, cache = source
    first = contents(spec, cache)
    monkeypatch.setattr(prepare, "_write", lambda *_: pytest.fail("written again"))
    assert contents(spec, cache) == first and len(kept(cache)) == 1


def test_written_again_when_a_file_changes(source):
    """A stale copy would train on text that is no longer there."""
    folder, spec, cache = source
    before = contents(spec, cache)
    changed = next(path for path in folder.iterdir() if path.read_bytes() in before)
    os.utime(changed, (1, 1))
    contents(spec, cache)
    assert len(kept(cache)) == 2
    changed.write_bytes(b"new")
    assert contents(spec, cache) - before == {b"new"} and len(kept(cache)) == 3


def test_empty_files_are_skipped_and_said(source, caplog):
    """An empty file is no error in a folder of thousands, and no document either."""
    folder, spec, cache = source
    for i in range(3):
        (folder / f"empty{i}.txt").touch()
    corpus = open_source(spec, "train", cache=cache)
    assert corpus.sources[0].metadata["empty_documents"] == 3
    assert "3 empty documents are skipped, empty0.txt first" in caplog.text
    for path in folder.iterdir():
        path.write_bytes(b"")
    with pytest.raises(SourceError, match="no text; all 33 documents are empty"):
        contents(spec, cache)
    assert len(kept(cache)) == 1


def test_a_full_disk_leaves_nothing(source, monkeypatch):
    """What is half-written must not be taken for a data set later."""
    _, spec, cache = source

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("array_record.python.array_record_module.ArrayRecordWriter.write", full)
        with pytest.raises(SourceError, match=r"could not be written to the cache .*No space left.*data\.cache"):
            contents(spec, cache)
    assert kept(cache) == []
    assert len(contents(spec, cache)) > 20


def test_a_write_that_fails_in_the_writer_is_met(source):
    """A limit on the size of files stands in for a full disk below Python, in the libraries that write the records."""
    _, spec, cache = source
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        with pytest.raises(SourceError, match="could not be written to the cache"):
            contents(spec, cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert kept(cache) == []
    assert len(contents(spec, cache)) > 20


def test_a_cache_that_cannot_be_made(source, tmp_path):
    """A file in the way, or no permission."""
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match=r"cannot write to the cache .*set data\.cache"):
        contents(source[1], tmp_path / "file")


def test_two_preparations_at_once(source):
    """Processes of a pod on one disk all find the cache empty at the same moment."""
    _, spec, cache = source
    found, barrier = [], threading.Barrier(2)

    def run():
        recipe_written = prepare._write_into
        barrier.wait()
        found.append(contents(spec, cache))
        assert recipe_written is prepare._write_into

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 and found[0] == found[1] and len(kept(cache)) == 1


def test_what_a_killed_preparation_left_is_not_used_and_goes_away(source):
    """A killed process cannot clean up after itself."""
    _, spec, cache = source
    left = cache / "prepared" / ".0123-abandoned"
    left.mkdir(parents=True)
    recent = cache / "prepared" / ".0123-at-work"
    recent.mkdir()
    long_ago = time.time() - 3 * 24 * 3600
    os.utime(left, (long_ago, long_ago))
    contents(spec, cache)
    assert not left.exists() and recent.exists()


def test_a_damaged_copy_is_named(source):
    """Somebody tidied up in the cache."""
    _, spec, cache = source
    contents(spec, cache)
    next((cache / "prepared").rglob("features.json")).unlink()
    next((cache / "prepared").rglob("dataset_info.json")).unlink()
    with pytest.raises(SourceError, match="is damaged .*remove that folder"):
        contents(spec, cache)
