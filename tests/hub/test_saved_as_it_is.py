"""What is saved is the model, whatever its config says of it; what no settings say is refused."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from ml_collections import ConfigDict
from samples import batch_of_ids, slow

from lexitok.config import binary, default_config, table, token_lm, transformer
from lexitok.hub import HubError, load, save
from lexitok.interfaces import make_interface
from lexitok.models.build import model_maker
from lexitok.models.token_lm import TokenLM
from lexitok.nn.layers import make_norm
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer

V, D = 40, 16
IDS = np.arange(12, dtype=np.int32).reshape(2, 6)
TEXT = (b"The quick brown fox jumps over the lazy dog; sphinx of black quartz, judge my vow. " * 30,) * 5


def config_of(tied: str, **backbone) -> ConfigDict:
    c = default_config()
    with c.unlocked():
        c.model = token_lm()
    c.text.kind = "subword"
    c.model.interface.tied = tied
    c.model.backbone = transformer(D=D, L=2, H=2, K=1, N=8, F=24, **backbone)
    return c


def made(tied: str = "yes", **backbone) -> tuple[TokenLM, ConfigDict]:
    c = config_of(tied, **backbone)
    return model_maker(c, V)(nnx.Rngs(0)), c


def interface(V: int = V, **settings):
    return make_interface(table(**settings), V, D, nnx.Rngs(7))


def logits(model: TokenLM) -> np.ndarray:
    return np.asarray(jax.jit(TokenLM.logits)(model, batch_of_ids(IDS)))


@pytest.mark.parametrize(
    ("before", "after", "keys"),
    [
        ("yes", {"tied": "no"}, {"tie_word_embeddings": False}),
        ("no", {"tied": "yes"}, {"tie_word_embeddings": True}),
        ("no", {"tied": "no", "V": 24}, {"vocab_size": 24}),
        *slow(("yes", {"tied": "no", "V": 56}, {"tie_word_embeddings": False, "vocab_size": 56})),
    ],
)
def test_an_interface_that_was_exchanged_is_saved(tmp_path, before, after, keys):
    """One assignment changes a model's interface, and its config still says the old one: no head may be lost."""
    model, config = made(before)
    model.interface = interface(**after)
    assert save(model, config, tmp_path / "out") == "llama"
    said = json.loads((tmp_path / "out" / "config.json").read_text())
    assert said.items() >= keys.items()
    np.testing.assert_array_equal(logits(load(tmp_path / "out").model), logits(model))


def test_a_backbone_that_was_exchanged_is_saved(tmp_path):
    """Its widths, and numbers that no shape tells, are its own."""
    model, config = made("no")
    model.backbone = _backbone(rope_base=5e5, F=32)
    save(model, config, tmp_path / "out")
    said = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (said["rope_theta"], said["intermediate_size"]) == (5e5, 32)
    np.testing.assert_array_equal(logits(load(tmp_path / "out").model), logits(model))


def test_a_cap_of_the_logits_is_saved_or_refused(tmp_path):
    """Families without one cannot say it; Gemma's can."""
    model, config = made()
    model.interface = interface(tied="yes", softcap=3.0)
    with pytest.raises(HubError, match=r"interface.softcap 3.0 .but 0.0."):
        save(model, config, tmp_path / "out")
    gemma, _, of_gemma = load("tests/hub/goldens/gemma2")
    gemma.interface.softcap = 3.0
    save(gemma, of_gemma, tmp_path / "gemma")
    assert load(tmp_path / "gemma").model.interface.softcap == 3.0


def _backbone(**changes):
    c = config_of("no")
    c.model.backbone.update(changes)
    return model_maker(c, V)(nnx.Rngs(3)).backbone


def _binary(model: TokenLM) -> None:
    model.interface = make_interface(binary(), V, D, nnx.Rngs(0))


def _other_width(model: TokenLM) -> None:
    model.interface = make_interface(table(), V, 2 * D, nnx.Rngs(0))


def _extra_norm(model: TokenLM) -> None:
    model.backbone.layers.mixer.q_norm = nnx.data(make_norm("rms", model.backbone.c, 8))


def _missing_norm(model: TokenLM) -> None:
    model.backbone.norm = None


def _other_norm(model: TokenLM) -> None:
    model.backbone.norm = make_norm("layer", model.backbone.c)


def _other_epsilon(model: TokenLM) -> None:
    model.backbone.norm.eps = 0.5


def _shared_rows(model: TokenLM) -> None:
    model.interface = make_interface(table(table_rows=V // 2), V, D, nnx.Rngs(0))


def _scaled(model: TokenLM) -> None:
    model.interface.embed_scale = 2.0


def _not_finite(model: TokenLM) -> None:
    model.backbone.norm.scale = nnx.Param(jnp.full(D, jnp.nan))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_binary, "only a TokenLM with a learned Table .* not a TokenLM with BinaryCodes"),
        (_other_width, r"'interface.head' is \(40, 32\), and \(40, 16\) by the settings"),
        (_extra_norm, "'backbone.layers.mixer.q_norm.scale' is .*, and not there by the settings"),
        (_missing_norm, r"'backbone.norm.scale' is not there, and \(16,\) by the settings"),
        (_other_norm, "backbone.norm is LayerNorm, and RmsNorm by the settings"),
        (_other_epsilon, "backbone.norm.eps is 0.5, and 1e-05 by the settings"),
        (_shared_rows, "interface.table_rows 20 .but 0."),
        (_scaled, "interface.embed_scale 2.0 .but 1.0."),
        (_not_finite, "'model.norm.weight' has values that are not finite"),
    ],
)
def test_what_cannot_be_said_is_refused_and_nothing_is_left(tmp_path, change, message):
    """By name: a part that is lost, or read as another, would be found out by its numbers only, if ever."""
    model, config = made("no")
    change(model)
    with pytest.raises(HubError, match=message):
        save(model, config, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_tokenizer_has_to_fit_the_model(tmp_path):
    """More ids than rows, or copied files of the tokenizer from before it was exchanged."""
    small, large = (SentencePieceTokenizer.train(TEXT, kind="bpe", size=n) for n in (300, 310))
    model, config = made("no")
    with pytest.raises(HubError, match="the tokenizer has 300 ids, and the model's table 40 rows"):
        save(model, config, tmp_path / "out", tokenizer=small)
    model.interface = interface(V=310, tied="no")
    save(model, config, tmp_path / "old", tokenizer=small)
    with pytest.raises(HubError, match="are of another tokenizer than the model's"):
        save(model, config, tmp_path / "out", tokenizer=large, files_of=tmp_path / "old")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    save(model, config, tmp_path / "out", tokenizer=small, files_of=tmp_path / "old")


def test_the_config_of_another_kind_of_model_does_not_matter(tmp_path):
    """The tree that came with a notebook's model may be of anything; the model says what it is."""
    model, _ = made("no")
    save(model, default_config(), tmp_path / "out")
    np.testing.assert_array_equal(logits(load(tmp_path / "out").model), logits(model))
