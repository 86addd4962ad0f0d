"""A GGUF gives the model that it was made from, in the orders that llama.cpp's converter writes; damage is told."""

import struct
from pathlib import Path

import gguf
import jax
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.config.files import diff
from lexitok.hub import HubError, load
from lexitok.hub.gguf_files import GgufFile
from lexitok.hub.safetensors_files import SafetensorsFiles

GOLDENS = Path(__file__).parent / "goldens"
ARCHITECTURES = {"llama_tied": "llama", "qwen3": "qwen3", "smollm3": "smollm3", "gemma2": "gemma2",
                 "gemma3": "gemma3", "gpt_neox": "gptneox"}  # fmt: skip


def write(path: Path, architecture: str, metadata: dict, tensors: dict) -> Path:
    """A GGUF by the library's own writer; a tensor is an array, or one with its kind."""
    writer = gguf.GGUFWriter(path, architecture)
    add = {bool: writer.add_bool, float: writer.add_float32, int: writer.add_uint32, str: writer.add_string}
    for key, value in metadata.items():
        add[type(value)](key if key.startswith("tokenizer") else f"{architecture}.{key}", value)
    for name, tensor in tensors.items():
        values, kind = tensor if isinstance(tensor, tuple) else (tensor, None)
        writer.add_tensor(name, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def convert(name: str, path: Path, further: dict | None = None, tensors: dict | None = None) -> Path:
    """A golden checkpoint as a GGUF."""
    architecture, config = ARCHITECTURES[name], load(GOLDENS / name).config
    b = config.model.backbone
    metadata = {
        "context_length": 64, "embedding_length": b.D, "block_count": b.L, "feed_forward_length": b.F,
        "attention.head_count": b.H, "rope.freq_base": b.rope_base,
    }  # fmt: skip
    if architecture == "gptneox":
        metadata |= {"attention.layer_norm_epsilon": b.norm_eps, "use_parallel_residual": True,
                     "rope.dimension_count": int(b.N * b.rope_fraction)}  # fmt: skip
    else:
        metadata |= {"attention.layer_norm_rms_epsilon": b.norm_eps, "attention.head_count_kv": b.K,
                     "attention.key_length": b.N, "attention.value_length": b.N}  # fmt: skip
    if architecture.startswith("gemma"):
        metadata |= {"attention.sliding_window": b.window, "final_logit_softcapping": config.model.interface.softcap}
    if b.rope_scale != 1.0:
        metadata |= {"rope.scaling.type": "linear", "rope.scaling.factor": b.rope_scale}
    found = SafetensorsFiles(GOLDENS / name).tensors.items()
    renamed = dict(renamed_tensor(architecture, k, t.all().astype(np.float32), b) for k, t in found)
    return write(path, architecture, metadata | (further or {}), renamed | (tensors or {}))


def renamed_tensor(architecture: str, name: str, values: np.ndarray, b) -> tuple[str, np.ndarray]:
    """Name and order of a tensor as the converter of llama.cpp has them."""
    stem, _, kind = name.rpartition(".")
    number = {v: k for k, v in gguf.MODEL_ARCH_NAMES.items()}[architecture]
    new = gguf.get_tensor_name_map(number, b.L).get_name(stem)
    assert new is not None, name
    if architecture in ("llama", "smollm3") and ("q_proj" in name or "k_proj" in name):
        heads = b.H if "q_proj" in name else b.K
        values = values.reshape(heads, 2, b.N // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
    if "query_key_value" in name:
        values = values.reshape(b.H, 3, b.N, *values.shape[1:]).swapaxes(0, 1).reshape(values.shape)
    if architecture.startswith("gemma") and "norm" in name:
        values = values + 1
    return f"{new}.{kind}", values


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_parameters_are_those_of_the_safetensors(name, tmp_path):
    """Rows of queries and keys, fused tensors and norms come back from their other order."""
    expected, found = load(GOLDENS / name), load(convert(name, tmp_path / "model.gguf"))
    assert found.config.pretrained.family == expected.config.pretrained.family
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(expected.model), jax.tree.leaves(found.model), strict=True
    ):
        np.testing.assert_allclose(b, a, atol=1e-6, err_msg=jax.tree_util.keystr(path))


@pytest.mark.parametrize("name", ["llama_tied", "qwen3", "gpt_neox"])
def test_the_settings_are_those_of_the_config(name, tmp_path):
    """Where the metadata say all of it, the model's section is the same."""
    expected, found = load(GOLDENS / name), load(convert(name, tmp_path / "model.gguf"))
    assert diff(found.config.model, expected.config.model) == {}


def test_what_is_not_in_the_metadata_is_what_llama_cpp_has_in_its_code(tmp_path):
    """Windows of Gemma in five of six layers, its local rotary base, SmolLM 3's fourth layers, Gemma 2's caps."""
    gemma3 = load(convert("gemma3", tmp_path / "3.gguf")).config.model.backbone
    assert gemma3.layer_kinds == ("local",) and gemma3.L == 4  # the sixth would be global
    assert gemma3.rope_base_local == 10_000.0 and gemma3.rope_scale == 2.0
    smollm3 = load(convert("smollm3", tmp_path / "s.gguf")).config.model.backbone
    assert smollm3.layer_kinds == ("global", "global", "global", "unrotated")
    gemma2 = load(convert("gemma2", tmp_path / "2.gguf")).config.model
    assert gemma2.backbone.softcap == 50.0 and gemma2.backbone.layer_kinds == ("local", "global")


def test_llama3_rescaling_comes_from_its_divisors(tmp_path):
    """A GGUF has the frequencies' divisors as a tensor; those that Llama 3.1 does not make are refused."""
    b = load(GOLDENS / "llama_tied").config.model.backbone
    wavelengths = 2 * np.pi * b.rope_base ** (np.arange(b.N // 2) / (b.N // 2))
    assert (wavelengths < 8192 / 4).all()  # so none is stretched here, and all divisors but one are 1
    divisors = np.ones(b.N // 2, np.float32)
    found = load(convert("llama_tied", tmp_path / "1.gguf", {}, {"rope_freqs.weight": divisors}))
    assert found.config.model.backbone.rope_llama3 == (1.0, 1.0, 4.0, 8192.0)
    with pytest.raises(HubError, match="is not the rescaling of Llama 3.1"):
        load(convert("llama_tied", tmp_path / "2.gguf", {}, {"rope_freqs.weight": divisors * 2}))


@pytest.mark.parametrize("kind", [Kind.Q8_0, Kind.Q5_0, Kind.BF16, Kind.F16])
def test_rows_are_dequantised_as_the_library_does(tmp_path, kind):
    """Any rows, without the others."""
    values = np.random.default_rng(0).normal(size=(6, 64)).astype(np.float32)
    raw = gguf.quants.quantize(values, kind)
    file = GgufFile(write(tmp_path / "t.gguf", "llama", {"n": 1}, {"t": (raw, kind)}))
    tensor = file.tensors["t"]
    assert tensor.shape == (6, 64) and tensor.kind == kind.name
    np.testing.assert_array_equal(tensor.rows(2, 5), gguf.quants.dequantize(raw, kind)[2:5])


@pytest.mark.parametrize(
    ("further", "message"),
    [
        ({"expert_count": 8}, "mixture of experts"),
        ({"attention.unheard_of": 3}, "does not know what the metadata llama.attention.unheard_of mean"),
        ({"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0}, "scaled by 'yarn'; lexitok has default, linear"),
        ({"block_count": 3}, "does not hold what its config describes: 'blk.2.ffn_down.weight' is missing"),
        ({"block_count": 2**31}, "'num_hidden_layers' is 2147483648; it has to be a whole number from 1 to 10000"),
        ({"feed_forward_length": 21}, r"has the shape \(20, 16\), the model needs \(21, 16\)"),
        ({"attention.head_count": 0}, "num_attention_heads' is 0"),
        ({"embedding_length": "wide"}, "'llama.embedding_length' is 'wide'; it has to be a number"),
    ],
)
def test_models_that_are_not_what_they_seem(tmp_path, further, message):
    """What changes the function is honoured or refused by name, and shapes are compared before anything is read."""
    with pytest.raises(HubError, match=message):
        load(convert("llama_tied", tmp_path / "model.gguf", further))


def test_an_unknown_architecture_lists_what_is_known(tmp_path):
    """The user learns what there is."""
    with pytest.raises(HubError, match="unknown architecture 'mamba'; known are llama .llama., qwen2"):
        load(write(tmp_path / "m.gguf", "mamba", {"n": 1}, {"t": np.zeros(4, np.float32)}))


def header(tensors: int = 0, keys: int = 0, body: bytes = b"", version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + body


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "cannot be read"),
        (b"GGUF", "is no GGUF"),
        (b"GGML" + b"\0" * 40, "is no GGUF"),
        (header(version=1), "version 1; versions 2 and 3"),
        (header(tensors=2**60), "said to have 1,152,921,504,606,846,976 entries"),
        (header(keys=2**60), "said to have 1,152,921,504,606,846,976 entries"),
        (header(keys=1, body=struct.pack("<Q", 2**62) + b"\0" * 20), "metadata key 0 is said to have"),
        (header(keys=1, body=text(b"k") + struct.pack("<I", 77) + b"\0" * 8), "'k' has a value of the unknown kind 77"),
        (header(keys=1, body=text(b"k") + struct.pack("<IIQ", 9, 6, 2**61)), "metadata 'k' is said to have"),
        (header(keys=1, body=text(b"k") + struct.pack("<IIQ", 9, 8, 9) + b"\0" * 72), None),
        (header(keys=1, body=text(b"k") + struct.pack("<IIQIQIQIQ", 9, 9, 1, 9, 1, 9, 1, 9, 1) + b"\0" * 12),
         "arrays in arrays in arrays"),
        (header(1, body=text(b"t") + struct.pack("<IQQIQ", 2, 2**62, 2**62, 0, 0)), "the impossible shape"),
        (header(1, body=text(b"t") + struct.pack("<IQQIQ", 2, 2**39, 2**39, 0, 0)), "tensor 't' ends at byte"),
        (header(1, body=text(b"t") + struct.pack("<IQIQ", 1, 8, 0, 2**63)), "tensor 't' ends at byte"),
        (header(1, body=text(b"t") + struct.pack("<IQIQ", 1, 8, 99, 0)), "numbers of the unknown kind 99"),
        (header(1, body=text(b"t") + struct.pack("<IQIQ", 1, 8, 8, 0)), "rows of 8 numbers, which blocks of 32"),
        (header(1, body=text(b"t") + struct.pack("<I", 9) + b"\0" * 40), "has 9 dimensions"),
    ],
)  # fmt: skip
def test_headers_that_lie(tmp_path, raw, message):
    """Sizes are compared with the file before anything is allocated."""
    path = tmp_path / "model.gguf"
    path.write_bytes(raw)
    if message is None:
        assert GgufFile(path).metadata == {"k": [""] * 9}
        return
    with pytest.raises(HubError, match=message):
        GgufFile(path)


@settings(max_examples=60)
@given(st.data())
def test_mutated_files_are_read_or_refused(tmp_path_factory, data):
    """Whatever is changed in a header or cut off a file: a message, or tensors that lie within the file."""
    whole = convert("llama_tied", tmp_path_factory.mktemp("whole") / "m.gguf") if _WHOLE[0] is None else None
    _WHOLE[0] = whole.read_bytes() if whole else _WHOLE[0]
    raw = bytearray(_WHOLE[0])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, 2500))
        raw[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    path = tmp_path_factory.mktemp("mutated") / "m.gguf"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)) | st.just(len(raw)))])
    try:
        tensors = GgufFile(path).tensors
        assert all(np.prod(t.shape) <= 8 * len(raw) for t in tensors.values())
        load(path)
    except HubError as error:
        assert "m.gguf" in str(error)


_WHOLE: list[bytes] = [None]  # type: ignore[list-item]
