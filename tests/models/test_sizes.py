"""Parameter counts at published sizes, from shapes alone: the architectures are the published ones."""

import jax
from flax import nnx
from ml_collections import FrozenConfigDict

from lexitok import config as C
from lexitok.config_files import load_config
from lexitok.models import TokenLM
from lexitok.models.build import model_maker
from lexitok.models.parameters import count_params


def token_lm(V: int, **backbone) -> dict[str, int]:
    c = C.token_lm()
    c.tied = "yes"
    c.backbone = C.transformer(**backbone)
    return count_params(jax.eval_shape(lambda: TokenLM(FrozenConfigDict(c), V, dtype="float32", rngs=nnx.Rngs(0))))


def test_hat_8b():
    """Llama-3.1-8B-TFree-HAT: the three published parts and their sum."""
    config = load_config("configs/hat_8b.py")
    counts = count_params(jax.eval_shape(lambda: model_maker(config, 256)(nnx.Rngs(0))))
    assert counts == {
        "encoder": 119_291_904,
        "backbone": 6_979_584_000,
        "decoder": 93_619_200,
        "total": 7_192_495_104,
    }


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
