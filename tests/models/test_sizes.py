"""Parameter counts at published sizes, from shapes alone: the architectures are the published ones."""

import math
from pathlib import Path

import jax
import pytest
from flax import nnx
from ml_collections import FrozenConfigDict

from lexitok import config as C
from lexitok.config.files import load_config
from lexitok.models import TokenLM
from lexitok.models.build import model_maker
from lexitok.models.counting import count_params

CONFIGS = Path(__file__).parents[2] / "configs"
DOLMA = 100_278  # tokens of OLMo 2's and OLMo 3's vocabulary


def shapes(spec: str, V: int, tokens: tuple[bytes, ...] = ()):
    """The model of a config file, as shapes."""
    name, _, variant = spec.partition(":")
    config = load_config(f"{CONFIGS / name}.py:{variant}")
    return jax.eval_shape(lambda: model_maker(config, V, unit_tokens=tokens)(nnx.Rngs(0)))


def size(tree) -> int:
    """Parameters of a part of a model."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def token_lm(V: int, **backbone) -> dict[str, int]:
    c = C.token_lm()
    c.interface.tied = "yes"
    c.backbone = C.transformer(**backbone)
    return count_params(jax.eval_shape(lambda: TokenLM(FrozenConfigDict(c), V, dtype="float32", rngs=nnx.Rngs(0))))


def test_hat_v2_8b():
    """Llama-3.1-8B-TFree-HAT: the three published parts and their sum."""
    assert count_params(shapes("hat_v2:8b", 256)) == {
        "encoder": 119_291_904,
        "backbone": 6_979_584_000,
        "decoder": 93_619_200,
        "total": 7_192_495_104,
    }


@pytest.mark.parametrize(
    ("variant", "backbone", "local"), [("1b", "1.1B", "23M"), ("3b", "4.3B", "24M"), ("7b", "9.2B", "55M")]
)
def test_hat_v1(variant, backbone, local):
    """The backbone and the encoder with its projection have what the paper's table says, to its digits."""
    stage = shapes(f"hat_v1:{variant}", 256).stage
    assert f"{size(stage.backbone) / 1e9:.1f}B" == backbone
    assert f"{size((stage.encoder, stage.pool)) / 1e6:.0f}M" == local
    assert f"{size((stage.decoder, stage.unpool)) / 1e6:.0f}M" == local


@pytest.mark.parametrize(("variant", "total"), [("1b", 4_533_879_808), ("7b", 10_553_570_560)])
def test_blt(variant, total):
    """The released BLT 1B and 7B, with tables of hashed n-grams; the model that splits is not one of their weights."""
    counts = count_params(shapes(f"blt:{variant}", 260))
    assert counts["total"] == total
    assert counts["frozen"] == 99_512_064 + 1  # and the threshold
    assert count_params(shapes(f"blt:space,{variant}", 260))["total"] == total


def test_entropy_lm():
    """The released model of 14 layers whose entropies make BLT's patches."""
    assert count_params(shapes("entropy_lm:published", 260))["total"] == 99_512_064


@pytest.mark.parametrize(
    ("variant", "backbone", "local"),
    [("1e19", 201_361_408, 50_350_080), ("793m", 792_813_056, 184_068_352)],
)
def test_spacebyte(variant, backbone, local):
    """The paper's 201M + 50M and 793M + 184M, without the learned positions that this one does not have."""
    model = shapes(f"spacebyte:{variant}", 256)
    E = model.interface.table.shape[1]
    assert size(model.stage.backbone) == backbone
    assert size((model.stage.encoder, model.stage.decoder)) == local + E  # the last norm is the read-out's, there
    assert size(model) == backbone + local + E + 2 * 256 * E


@pytest.mark.parametrize(("variant", "total"), [("2l_1b", 1_324_203_008), ("3l_1b", 2_499_694_592)])
def test_aunet(variant, total):
    """AU-Net's 1.3B and 2.5B have 258 symbols, which are 260 here: two rows more in table and read-out, 512 wide."""
    assert count_params(shapes(f"aunet:{variant}", 260))["total"] == total + 2 * 2 * 512


@pytest.mark.parametrize(
    ("variant", "total"),
    [
        ("1stage_l", 679_405_312),
        ("2stage_l", 874_315_264),
        ("1stage_xl", 1_270_833_920),
        ("2stage_xl", 1_603_492_224),
    ],
)
def test_hnet(variant, total):
    """The four released H-Nets, with their Mamba-2 layers, routers and residual maps."""
    assert count_params(shapes(f"hnet:{variant}", 256))["total"] == total


@pytest.mark.parametrize(("variant", "total"), [("1b", 1_468_911_776), ("7b", 7_633_084_576)])
def test_bolmo(variant, total):
    """The released Bolmo 1B and 7B, with the subword embeddings of OLMo's tokens and rows that are never read."""
    tokens = tuple(b"%05x" % i for i in range(DOLMA))
    assert count_params(shapes(f"bolmo:{variant}", 520, tokens))["total"] == total


def test_learn_your_tokens():
    """The paper's stacks: twelve blocks of 512, with the norms and biases that this code base leaves out or has."""
    stage = shapes("learn_your_tokens:paper", 260).stage
    block = 4 * 512**2 + 2 * 512 * 2048 + 2 * 512  # 3,152,384 with biases and layer norms
    assert size((stage.encoder, stage.backbone, stage.decoder)) == 12 * block + 3 * 512


def test_qwen3_06b():
    """Qwen 3 0.6B has 596,049,920 parameters: grouped queries, QK-norm, heads wider than D / H, tied."""
    counts = token_lm(151_936, D=1024, L=28, H=16, K=8, N=128, F=3072, qk_norm="rms")
    assert counts["total"] == 596_049_920


def test_gemma3_270m():
    """Gemma 3 270M has 268,098,176 parameters: one key head, QK-norm, four norms a layer, tied."""
    counts = token_lm(262_144, D=640, L=18, H=4, K=1, N=256, F=2048, qk_norm="rms", post_norms="rms")
    assert counts["total"] == 268_098_176


def test_llama32_1b():
    """Llama 3.2 1B has 1,235,814,400 parameters: grouped queries, tied."""
    counts = token_lm(128_256, D=2048, L=16, H=32, K=8, N=64, F=8192)
    assert counts["total"] == 1_235_814_400
