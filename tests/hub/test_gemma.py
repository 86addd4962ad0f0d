"""Gemma 3 270M out of the packages that ship it as GGUF: logits and greedy text of `transformers`, and back to it.

The text is longer than the model's sliding window, and in many languages.
"""

import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from real_parts import torch_python
from samples import batch_of_ids

from lexitok.data.encoders import SubwordEncoder
from lexitok.hub import Pretrained, load, save
from lexitok.inference.decoder import Decoder
from lexitok.models.token_lm import TokenLM

pytestmark = pytest.mark.real
DATA = Path(__file__).parent / "data"
TOLERANCE = 2e-5  # of the largest logit


@pytest.fixture(scope="module")
def gemma(gemma_gguf) -> Pretrained:
    return load(gemma_gguf)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(DATA / "gemma3_270m.npz") as file:
        return dict(file)


def logits_of(model: TokenLM, golden: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Logits of the golden's columns, and the logarithms of the normalisers; a part of the positions at a time."""
    hidden = jax.jit(TokenLM.features)(model, batch_of_ids(golden["ids"]))["hidden"]

    @jax.jit
    def read_out(model, h):
        logits = model.interface.bind(jnp.zeros(1, jnp.int32)).logits(h)
        return logits[..., golden["columns"]], jax.nn.logsumexp(logits, axis=-1)

    parts = [read_out(model, hidden[:, at : at + 128]) for at in range(0, hidden.shape[1], 128)]
    logits, normalizers = (np.concatenate(some, axis=1) for some in zip(*parts, strict=True))
    return logits, normalizers


def test_ids(gemma, golden):
    """A BOS, and the ids that the library `transformers` finds."""
    ids = gemma.tokenizer.encode((DATA / "bread.txt").read_bytes()).ids
    assert golden["ids"][0].tolist() == [gemma.tokenizer.vocabulary.bos, *ids]


def test_logits(gemma, golden):
    """At every position, beyond the sliding window too."""
    assert golden["ids"].shape[1] > 2 * gemma.config.model.backbone.window
    logits, normalizers = logits_of(gemma.model, golden)
    largest = np.abs(golden["logits"]).max()
    assert np.abs(logits - golden["logits"]).max() < TOLERANCE * largest
    assert np.abs(normalizers - golden["log_normalizers"]).max() < TOLERANCE * largest


def test_greedy_text(gemma, golden):
    """Two hundred tokens behind the text, out of the caches."""
    prompt, written = golden["ids"][0].tolist(), []
    decoder = Decoder(gemma.model, SubwordEncoder(gemma.tokenizer), 1, len(prompt) + 200)
    decoder.read([prompt])
    for _ in range(200):
        written.append(int(np.argmax(decoder.logits_BxV[0])))
        decoder.read([written[-1:]])
    assert written == golden["written"][0].tolist()


def test_written_out(gemma, golden, tmp_path):
    """As safetensors, which give the same model here and, where there is a Python with it, in `transformers`."""
    assert save(gemma.model, gemma.config, tmp_path / "gemma", tokenizer=gemma.tokenizer) == "gemma3"
    again = load(tmp_path / "gemma")
    assert again.tokenizer.vocabulary == gemma.tokenizer.vocabulary
    for one, other in zip(jax.tree.leaves(again.model), jax.tree.leaves(gemma.model), strict=True):
        np.testing.assert_array_equal(one, other)
    if torch_python() is not None:
        np.savez(tmp_path / "gemma/logits.npz", **{key: golden[key] for key in ("ids", "columns", "logits")})
        script = Path(__file__).parent / "check_with_transformers.py"
        command = [str(torch_python()), str(script), str(tmp_path / "gemma")]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
