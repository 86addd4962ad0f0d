"""Every family gives the logits that `transformers` gave, for tiny checkpoints with all its switches on, and back."""

import functools
import json
import shutil
import subprocess
from pathlib import Path

import jax
import numpy as np
import pytest
from real_parts import torch_python
from samples import batch_of_ids

from lexitok.hub import Pretrained, load, save
from lexitok.hub.families import FAMILIES
from lexitok.hub.safetensors_files import SafetensorsFiles
from lexitok.models.token_lm import TokenLM

GOLDENS = Path(__file__).parent / "goldens"
CASES = sorted(path.name for path in GOLDENS.iterdir())


def logits_of(model: TokenLM, ids: np.ndarray) -> np.ndarray:
    return np.asarray(jax.jit(TokenLM.logits)(model, batch_of_ids(ids)))


def golden(name: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(GOLDENS / name / "logits.npz") as file:
        return file["ids"], file["logits"]


@functools.cache
def loaded(name: str) -> Pretrained:
    return load(GOLDENS / name)


def test_every_family_has_a_golden():
    """A new family is not there before its logits are compared."""
    assert {loaded(name).config.pretrained.family for name in CASES} == set(FAMILIES)


@pytest.mark.parametrize("name", CASES)
def test_logits_are_those_of_transformers(name):
    """Biases, norms, windows, caps, rotary kinds, layers without positions: one mistake in any shows here."""
    ids, expected = golden(name)
    found = logits_of(loaded(name).model, ids)
    assert np.abs(found - expected).max() < 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize("name", CASES)
def test_what_is_read_is_written_back(name, tmp_path):
    """The same tensors, bit for bit, under the same names, and settings in the words that older readers know."""
    model, _, config = loaded(name)
    family = save(model, config, tmp_path / "out", dtype="bfloat16", shard_gb=4e-6 if name == "qwen3_sharded" else 5.0)
    assert family == config.pretrained.family
    before, after = SafetensorsFiles(GOLDENS / name).tensors, SafetensorsFiles(tmp_path / "out").tensors
    assert before.keys() == after.keys()
    for tensor, stored in before.items():
        assert stored.shape == after[tensor].shape
        np.testing.assert_array_equal(stored.all().view(np.uint16), after[tensor].all().view(np.uint16))
    keys = json.loads((tmp_path / "out/config.json").read_text())
    assert keys["eos_token_id"] == 2 and keys["max_position_embeddings"] == 64
    assert "rope_parameters" not in keys and keys.get("rope_theta", keys.get("rotary_emb_base"))


@pytest.mark.skipif(torch_python() is None, reason="torch is not installed; name LEXITOK_TORCH_PYTHON to run this")
def test_transformers_loads_what_we_write(tmp_path):
    """The proof that matters to others: their library, their logits."""
    for name in CASES:
        save(loaded(name).model, loaded(name).config, tmp_path / name)
        shutil.copy(GOLDENS / name / "logits.npz", tmp_path / name)
    script = Path(__file__).parent / "check_with_transformers.py"
    command = [str(torch_python()), str(script), *(str(tmp_path / name) for name in CASES)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
