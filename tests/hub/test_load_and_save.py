"""Loading onto a mesh, what does not fit, writing a model of our own, and runs there and back."""

import functools
import json
import logging
import os
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx
from jax.sharding import NamedSharding

from lexitok.config import default_config, token_lm, transformer
from lexitok.hub import HubError, Pretrained, load, save
from lexitok.hub.conversion import from_run, is_run, to_run
from lexitok.hub.description import abstract_model, describe
from lexitok.hub.download import fetch
from lexitok.hub.load import fitted
from lexitok.hub.read_parameters import reader
from lexitok.hub.save import choose_family
from lexitok.inference.generate import generate
from lexitok.models.build import model_maker
from lexitok.parameter_names import names, to_dicts
from lexitok.runs.load import load_model
from lexitok.sharding import make_mesh, state_shardings
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer

GOLDENS = Path(__file__).parent / "goldens"
TEXT = (b"The quick brown fox jumps over the lazy dog; sphinx of black quartz, judge my vow. " * 30,) * 5


@functools.cache
def loaded(name: str = "qwen3") -> Pretrained:
    return load(GOLDENS / name)


@functools.cache
def tokenizer(size: int = 300) -> SentencePieceTokenizer:
    return SentencePieceTokenizer.train(TEXT, kind="bpe", size=size)


def same(a, b) -> None:
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def test_a_mesh_gets_the_model_split():
    """Every device reads its own share, and together they have what one device has."""
    mesh = make_mesh(data=1, fsdp=4, tensor=2)
    split = load(GOLDENS / "qwen3", mesh=mesh).model
    shardings = jax.tree.leaves(state_shardings(loaded().model, mesh))
    for leaf, sharding in zip(jax.tree.leaves(split), shardings, strict=True):
        assert leaf.sharding.is_equivalent_to(sharding, leaf.ndim)
    table = split.interface.table[...]
    assert {shard.data.shape for shard in table.addressable_shards} == {(20, 4)}
    same(split, loaded().model)


def test_matrices_have_the_dtype_that_is_asked_for():
    """Norms and biases stay float32, and bfloat16 weights come through as they are."""
    model = load(GOLDENS / "qwen3", dtype="bfloat16").model
    kinds = {name: leaf.dtype for name, leaf in names(to_dicts(model)).items()}
    assert {str(kind) for name, kind in kinds.items() if name.endswith((".scale", ".bias"))} == {"float32"}
    assert {str(kind) for name, kind in kinds.items() if not name.endswith((".scale", ".bias"))} == {"bfloat16"}
    same(jax.tree.map(lambda x: x.astype(jnp.float32), model), loaded().model)
    with pytest.raises(HubError, match="unknown dtype 'int8'; there are float32, bfloat16, float16"):
        load(GOLDENS / "qwen3", dtype="int8")


def changed(tmp_path: Path, **keys) -> Path:
    """The golden `qwen3` with other keys."""
    folder = tmp_path / "model"
    shutil.copytree(GOLDENS / "qwen3", folder)
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(json.dumps(json.loads(text) | keys))
    return folder


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"intermediate_size": 24},
            r"'model.layers.0.mlp.gate_proj.weight' in .* has the shape \(20, 16\), .* \(24, 16\)",
        ),
        ({"vocab_size": 41}, r"'model.embed_tokens.weight' in .* has the shape \(40, 16\), the model needs \(41, 16\)"),
        ({"num_hidden_layers": 3, "layer_types": None}, "'model.layers.2.mlp.gate_proj.weight' is missing"),
        ({"num_hidden_layers": 1}, "knows nothing of: 'model.layers.1.input_layernorm.weight'"),
        ({"attention_bias": False}, "knows nothing of: 'model.layers.0.self_attn.k_proj.bias'"),
        ({"num_key_value_heads": 3}, "H=4 query heads cannot share K=3 key heads"),
    ],
)
def test_tensors_that_do_not_fit_the_config(tmp_path, keys, message):
    """Compared by name and shape before anything is read or allocated."""
    with pytest.raises(HubError, match=message):
        load(changed(tmp_path, **keys))


def test_a_tied_table_may_be_written_twice(tmp_path):
    """Some checkpoints have a head that is the table; it has no effect, and is no error."""
    model = load(changed(tmp_path, tie_word_embeddings=True)).model
    assert model.interface.head is None


def test_a_tokenizer_has_to_fit_the_table(tmp_path, caplog):
    """More ids than rows cannot be; further rows are padding, which is said."""
    folder = changed(tmp_path)
    (folder / "tokenizer.model").write_bytes(tokenizer().to_bytes())
    with pytest.raises(HubError, match="the tokenizer has 300 ids, and the model's table 40 rows"):
        load(folder)
    with caplog.at_level(logging.INFO):
        padded = fitted(tokenizer(), 310, "it")
    assert padded.vocabulary.size == 310 and "the table has 310 rows for 300 ids" in caplog.text
    (folder / "tokenizer.model").write_bytes(b"damaged")
    with pytest.raises(HubError, match="the tokenizer of .*model cannot be read"):
        load(folder)


def test_there_is_nothing_to_load(tmp_path):
    """A path that is wrong, and names that are none; nothing is downloaded by mistake."""
    with pytest.raises(HubError, match="there is no checkpoint at .*nowhere"):
        load(tmp_path / "nowhere")
    with pytest.raises(HubError, match="config.json is missing"):
        load(tmp_path)
    for name in ("justaname", "a/b/c", "/x", "x/"):
        with pytest.raises(HubError, match="names no model: write hf:OWNER/NAME"):
            fetch(name)


def test_nothing_is_left_of_a_save_that_fails(tmp_path):
    """All or nothing, and nothing that is there is written over."""
    model, _, config = loaded()
    huge = jax.tree.map(lambda x: x, model)
    huge.interface.table = nnx.Param(model.interface.table[...] * 1e6)
    with pytest.raises(HubError, match="'model.embed_tokens.weight' has values that float16 cannot hold"):
        save(huge, config, tmp_path / "out", dtype="float16")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out").mkdir()
    with pytest.raises(HubError, match="there is something at .*out already"):
        save(model, config, tmp_path / "out")


def our_config(**changes):
    c = default_config()
    with c.unlocked():
        c.model = token_lm()
    c.text.kind = "subword"
    c.model.backbone = transformer(D=16, L=2, H=2, K=1, N=8, F=24, **changes)
    return c


def test_a_model_of_our_own_is_written_as_a_family_that_can_say_it():
    """A run that was trained here; and one that no family computes, with what is in the way."""
    assert choose_family(our_config(), 40)[0].name == "llama"
    assert choose_family(our_config(qk_norm="rms"), 40)[0].name == "qwen3"
    assert choose_family(our_config(layer_kinds=("local",), window=3), 40)[0].name == "mistral"
    assert choose_family(our_config(attention_bias="qkv"), 40)[0].name == "qwen2"
    with pytest.raises(HubError, match="comes closest to llama, which has no backbone.qk_norm 'layer' .but 'none'"):
        choose_family(our_config(qk_norm="layer"), 40)
    with pytest.raises(HubError, match="cannot be written as one of gemma3"):
        choose_family(our_config(), 40, "gemma3")
    with pytest.raises(HubError, match="unknown family 'bert'; there are llama"):
        choose_family(our_config(), 40, "bert")


def checkpoint_of_our_own(folder: Path) -> Path:
    """A random model with a tokenizer, as a directory; its table has more rows than the tokenizer has ids."""
    config = our_config()
    model = model_maker(config, 304)(nnx.Rngs(0))
    save(model, config, folder, tokenizer=tokenizer())
    return folder


def test_a_checkpoint_becomes_a_run_and_a_checkpoint_again(tmp_path):
    """What evaluation, generation and notebooks open; and the way back gives the files that came in."""
    origin = checkpoint_of_our_own(tmp_path / "hf")
    to_run(origin, tmp_path / "run", mesh=make_mesh(data=1, fsdp=8))
    assert is_run(tmp_path / "run") and not is_run(origin)
    model, encoder = load_model(tmp_path / "run")
    assert encoder.vocabulary.size == 304 and model.interface.vocabulary_size == 304
    assert len(generate(model, encoder, [b"The quick"], max_bytes=5, temperature=0.0)[0]) <= 5
    assert from_run(tmp_path / "run", tmp_path / "again") == "llama"
    for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (origin / name).read_bytes()
    config = (tmp_path / "run" / "config.json").read_text()
    assert '"rope_base": 10000.0' in config
    (tmp_path / "run" / "config.json").write_text(config.replace('"rope_base": 10000.0', '"rope_base": 500000.0'))
    from_run(tmp_path / "run", tmp_path / "third")  # a record that was written over does not change the weights' own
    assert (tmp_path / "third" / "config.json").read_bytes() == (tmp_path / "again" / "config.json").read_bytes()
    with pytest.raises(HubError, match="there is something at"):
        to_run(origin, tmp_path / "run")
    with pytest.raises(HubError, match="has no tokenizer, and a run needs one"):
        to_run(GOLDENS / "qwen3", tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_broken_checkpoint_becomes_no_run(tmp_path, value):
    """It would convert, load and be evaluated to nothing; the tensor is named, and no directory is left."""
    origin = checkpoint_of_our_own(tmp_path / "hf")
    tensors = safetensors.numpy.load_file(origin / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][3, 2] = value
    safetensors.numpy.save_file(tensors, origin / "model.safetensors")
    with pytest.raises(HubError, match=r"model.safetensors: tensor '.*1.mlp.up_proj.weight' has values that are"):
        to_run(origin, tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


@pytest.mark.slow
def test_a_host_needs_memory_for_its_share_only(tmp_path):
    """16 GB of bfloat16, of which a host with one device of eight takes 2 GB, and little on top while it reads."""
    sizes = {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
             "intermediate_size": 14336, "vocab_size": 128256, "head_dim": 128}  # fmt: skip
    keys = {"architectures": ["LlamaForCausalLM"], **sizes}
    (tmp_path / "config.json").write_text(json.dumps(keys))
    shapes = {
        "model.embed_tokens.weight": (128256, 4096),
        "lm_head.weight": (128256, 4096),
        "model.norm.weight": (4096,),
    }
    for i in range(32):
        shapes |= {
            f"model.layers.{i}.{name}.weight": shape
            for name, shape in {
                "self_attn.q_proj": (4096, 4096), "self_attn.k_proj": (1024, 4096), "self_attn.v_proj": (1024, 4096),
                "self_attn.o_proj": (4096, 4096), "mlp.gate_proj": (14336, 4096), "mlp.up_proj": (14336, 4096),
                "mlp.down_proj": (4096, 14336), "input_layernorm": (4096,), "post_attention_layernorm": (4096,),
            }.items()
        }  # fmt: skip
    sparse_file(tmp_path / "model.safetensors", shapes)
    description = describe(tmp_path)
    like = abstract_model(description.model, description.V, "synthetic")
    mesh, share, base, most = make_mesh(data=1, fsdp=8), [], anonymous_bytes(), 0
    shardings = names(to_dicts(state_shardings(like, mesh)))
    for name, leaf in names(to_dicts(like)).items():
        sharding: NamedSharding = shardings[name]
        index = sharding.devices_indices_map(leaf.shape)[jax.devices()[0]]
        dtype = np.dtype("float32") if name.endswith(".scale") else jnp.dtype("bfloat16")
        read = reader(description.places[name], description.files, leaf.shape, description.sizes, dtype)
        share.append(read(index))
        description.files.release()
        most = max(most, anonymous_bytes() - base)
    total = sum(array.nbytes for array in share)
    print(f"share {total / 1e9:.2f} GB, peak {most / 1e9:.2f} GB")
    assert 1.9e9 < total < 2.3e9 and most < total + 0.2e9


def sparse_file(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """A safetensors file of zeros that takes no room on the disk."""
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        os.truncate(file.fileno(), 8 + len(text) + at)


def anonymous_bytes() -> int:
    """Memory of this process that is no mapped file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("RssAnon")).split()[1])
