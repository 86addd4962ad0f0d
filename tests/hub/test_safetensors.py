"""A safetensors file is believed only as far as it is right, and says what is wrong with it."""

import json
import os
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.hub.safetensors_files import INDEX, SINGLE, SafetensorsFiles
from lexitok.hub.safetensors_writer import Written, write_tensors
from lexitok.hub.stored_tensors import HubError

GOLDENS = Path(__file__).parent / "goldens"
TENSORS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": (np.arange(4) / 8).astype(ml_dtypes.bfloat16),
    "c": np.arange(4, dtype=np.float16).reshape(4, 1),
}


def file_of(folder: Path, header: object, data: bytes = b"") -> Path:
    """A file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (folder / SINGLE).write_bytes(len(text).to_bytes(8, "little") + text + data)
    return folder


def entry(dtype="F32", shape=(2,), offsets=(0, 8)) -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def written(arrays: dict[str, np.ndarray]) -> list[Written]:
    return [Written(name, a.shape, str(a.dtype), lambda a=a: a) for name, a in arrays.items()]


def test_what_we_write_the_library_reads_and_we_read_what_it_writes(tmp_path):
    """The format is theirs: float32, bfloat16 and float16, whole and by rows."""
    write_tensors(tmp_path, written(TENSORS), 10**9)
    found = safetensors.numpy.load_file(tmp_path / SINGLE)
    assert found.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(np.asarray(found[name], np.float32), array.astype(np.float32))
    safetensors.numpy.save_file({k: v for k, v in TENSORS.items() if k != "b"}, tmp_path / SINGLE)
    files = SafetensorsFiles(tmp_path)
    np.testing.assert_array_equal(files.tensors["a"].rows(1, 2), TENSORS["a"][1:])
    assert files.tensors["c"].all().dtype == np.float16 and files.tensors["a"].shape == (2, 3)


def test_files_are_no_larger_than_asked_for(tmp_path):
    """Shards and the index that names them; a tensor that is larger than a file has one for itself."""
    arrays = {name: np.full((n,), n, np.float32) for name, n in (("a", 2), ("b", 2), ("c", 9), ("d", 1))}
    write_tensors(tmp_path, written(arrays), 16)
    index = json.loads((tmp_path / INDEX).read_text())
    assert index["metadata"]["total_size"] == 56 and len(set(index["weight_map"].values())) == 3
    assert index["weight_map"]["a"] == index["weight_map"]["b"] != index["weight_map"]["c"]
    files = SafetensorsFiles(tmp_path)
    for name, array in arrays.items():
        np.testing.assert_array_equal(files.tensors[name].all(), array)


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        ({"a": entry()}, b"\0" * 4, r"tensor 'a' ends at byte \d+ of a file of \d+ bytes: the file is truncated"),
        ({"a": entry(offsets=(0, 4))}, b"\0" * 8, "tensor 'a' is F32.2., 8 bytes, but its offsets hold 4"),
        ({"a": entry(shape=(2**62, 2**62))}, b"\0" * 8, "tensor 'a' has the shape"),
        ({"a": entry(shape=(2**39, 2**39))}, b"\0" * 8, "tensor 'a' is F32"),
        ({"a": entry(), "b": entry(offsets=(4, 12))}, b"\0" * 12, "tensor 'b' overlaps the one before it"),
        ({"a": entry(), "b": entry(offsets=(9, 17))}, b"\0" * 17, "tensor 'b' leaves 1 bytes before it"),
        ({"a": entry()}, b"\0" * 9, "1 bytes at the end belong to no tensor"),
        ({"a": entry(offsets=(8, 0))}, b"\0" * 8, "its offsets hold -8"),
        ({"a": entry(dtype="Q4")}, b"\0" * 8, "unknown kind 'Q4'; known are F64, F32"),
        ({"a": entry(shape=(True, 2))}, b"\0" * 8, "tensor 'a' has the shape"),
        ({"a": entry(shape=(2.0,))}, b"\0" * 8, "tensor 'a' has the shape"),
        ({"a": [1, 2]}, b"", "tensor 'a' is described by"),
        ([1], b"", "not a JSON object"),
        (b'{"a": 1, "a": 2}', b"", "names 'a' twice"),
        (b"{" * 50_000, b"", "not JSON"),
        (b"\xff\xfe", b"", "not JSON"),
    ],
)
def test_headers_that_lie(tmp_path, header, data, message):
    """Each lie is told with the file and the tensor that it is about."""
    with pytest.raises(HubError, match=message):
        SafetensorsFiles(file_of(tmp_path, header, data))


@pytest.mark.parametrize("length", [0, 4, 7])
def test_a_file_that_is_too_short_for_a_header(tmp_path, length):
    """What is left of a download that broke off."""
    (tmp_path / SINGLE).write_bytes(b"\xff" * length)
    with pytest.raises(HubError, match="truncated"):
        SafetensorsFiles(tmp_path)


def test_a_header_of_impossible_length_is_not_made_room_for(tmp_path):
    """Eight bytes can ask for any amount of memory."""
    (tmp_path / SINGLE).write_bytes((2**63).to_bytes(8, "little") + b"{}")
    with pytest.raises(HubError, match="said to be 9,223,372,036,854,775,808 bytes long"):
        SafetensorsFiles(tmp_path)


def sharded(tmp_path: Path, weight_map: object) -> Path:
    """The sharded golden with another index."""
    folder = tmp_path / "model"
    shutil.copytree(GOLDENS / "qwen3_sharded", folder)
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    return folder


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "..", "", "a/../b", "a\\b", "a\0b"])
def test_an_index_cannot_lead_out_of_its_directory(tmp_path, name):
    """A checkpoint is data that others wrote."""
    with pytest.raises(HubError, match="not one of its directory; refused"):
        SafetensorsFiles(sharded(tmp_path, {"w": name}))


def test_links_lead_out_only_as_the_cache_has_them(tmp_path):
    """The hub's cache keeps files as links from a snapshot to its blobs; any other way out is refused."""
    outside = tmp_path / "outside.safetensors"
    shutil.copy(GOLDENS / "qwen3" / SINGLE, outside)
    folder = tmp_path / "model"
    folder.mkdir()
    os.symlink(outside, folder / SINGLE)
    with pytest.raises(HubError, match="is a link that leads to .*outside.safetensors, out of its directory"):
        SafetensorsFiles(folder)
    snapshot, blobs = tmp_path / "cached/snapshots/1", tmp_path / "cached/blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    shutil.move(outside, blobs / "f00")
    os.symlink("../../blobs/f00", snapshot / SINGLE)
    assert SafetensorsFiles(snapshot).tensors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m | {"new": "model-00001-of-00002.safetensors"}, "'new' is in model-00001.* and it is not there"),
        (lambda m: m | {"new": "model-00003-of-00003.safetensors"}, "model-00003-of-00003.safetensors is missing"),
        (lambda m: dict(list(m.items())[1:]), "which model.safetensors.index.json does not list"),
        (lambda m: [1], "does not give a file name"),
        (lambda m: {"a": 3}, "does not give a file name"),
    ],
)
def test_indexes_that_lie(tmp_path, change, message):
    """A shard that is missing, or that has other tensors than the index says."""
    weight_map = json.loads((GOLDENS / "qwen3_sharded" / INDEX).read_text())["weight_map"]
    with pytest.raises(HubError, match=message):
        SafetensorsFiles(sharded(tmp_path, change(weight_map)))


def test_a_directory_without_safetensors(tmp_path):
    """Pickles are not opened, and the message says what to do."""
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(HubError, match="pytorch_model.bin. Pickled checkpoints .* have them converted"):
        SafetensorsFiles(tmp_path)


def test_tensors_of_integers_are_seen_but_not_read(tmp_path):
    """Quantised tensors must not be taken for weights."""
    safetensors.numpy.save_file({"q": np.arange(3, dtype=np.int8)}, tmp_path / SINGLE)
    with pytest.raises(HubError, match="tensor 'q' is of kind I8, which cannot be read as floats"):
        SafetensorsFiles(tmp_path).tensors["q"].all()


RAW = (GOLDENS / "llama_tied" / SINGLE).read_bytes()


@settings(max_examples=60)
@given(st.data())
def test_mutated_files_are_read_or_refused(tmp_path_factory, data):
    """Whatever is changed in a header or cut off a file: a message, or tensors that lie within the file."""
    raw, header = bytearray(RAW), 8 + int.from_bytes(RAW[:8], "little")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, header - 1))
        raw[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    raw = raw[: data.draw(st.integers(0, len(raw)) | st.just(len(raw)))]
    folder = tmp_path_factory.mktemp("mutated")
    (folder / SINGLE).write_bytes(raw)
    try:
        tensors = SafetensorsFiles(folder).tensors
    except HubError as error:
        assert SINGLE in str(error)
        return
    assert sum(t.all().nbytes for t in tensors.values() if t.read is not None) <= len(raw)
