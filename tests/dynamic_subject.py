"""A small subword model of random rows, and its encoder: what dynamic tokenization is tested on."""

import numpy as np
from flax import nnx
from greedy import SOURCE
from ml_collections import FrozenConfigDict

from lexitok import config as C
from lexitok.data.encoders import SubwordEncoder
from lexitok.models.token_lm import TokenLM


def token_model(tied="no"):
    c = C.token_lm()
    c.compute_dtype = "float32"
    c.interface.tied, c.interface.embed_scale = tied, 2.0
    c.backbone = C.transformer(D=16, L=1, H=2, K=2, N=8, F=16)
    return TokenLM(FrozenConfigDict(c), SOURCE.vocabulary.size, dtype=np.float32, rngs=nnx.Rngs(params=0))


MODEL, ENCODER = token_model(), SubwordEncoder(SOURCE)
