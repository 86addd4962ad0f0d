"""Decoding speed: every model of the size `cpu`, through its caches and without them, beside a token model.

python experiments/benchmarks/decode.py --rows=1 --rows=32
python experiments/benchmarks/decode.py --size=gpu1 --rows=1 --rows=32 --models=hat_v2 --models=subword

Weights are random: the text that is written is given (`lexitok/analysis/decode_speed.py`). Ratios are to the subword
model with the same backbone in the same run.
"""

import statistics

import jax
from absl import flags
from flax import nnx

from lexitok.analysis.decode_speed import decode_speed
from lexitok.config_files import load_config
from lexitok.data.sources import open_source
from lexitok.runner import run
from lexitok.training.setup import make_setup

SIZE = flags.DEFINE_string("size", "cpu", "Variant of every config.")
ROWS = flags.DEFINE_multi_integer("rows", [1, 32], "Texts that are written at once.")
REPEATS = flags.DEFINE_integer("repeats", 3, "Measurements, of which the median, the least and the most are shown.")
UNCACHED = flags.DEFINE_integer("uncached", 4, "Symbols that are timed without caches; 0: none.")
ALL = {
    "subword": "subword.py:{size}",
    "bytes": "bytes.py:{size}",
    "hat_v1": "hat_v1.py:{size}",
    "hat_v2": "hat_v2.py:{size}",
    "learn_your_tokens": "learn_your_tokens.py:{size}",
    "spacebyte": "spacebyte.py:{size}",
    "blt": "blt.py:{size}",
    "aunet": "aunet.py:{size}",
    "hnet": "hnet.py:{size}",
    "bolmo": "bolmo.py:{size}",
}
MODELS = flags.DEFINE_multi_enum("models", list(ALL), list(ALL), "Which models.")


def main() -> None:
    documents = open_source("stdlib", "validation", cache="~/.cache/lexitok", field="text").documents(1_000_000)
    text = max((document.data for document in documents), key=len)
    reference: dict[int, float] = {}
    print(f"{'model':<20}{'rows':>6}{'cached B/s':>14}{'(range)':>18}{'uncached B/s':>14}{'ratio':>8}{'to first':>10}")
    for name in MODELS.value:
        setup = make_setup(load_config(f"configs/{ALL[name].format(size=SIZE.value)}"), devices=jax.devices()[:1])
        model = jax.jit(lambda make=setup.make_model: make(nnx.Rngs(0)))()
        for rows in ROWS.value:
            options = {"rows": rows, "uncached": UNCACHED.value}
            found = [decode_speed(model, setup.encoder, text, **options) for _ in range(REPEATS.value)]
            speeds = [speed.cached for speed in found]
            middle = statistics.median(speeds)
            without = statistics.median([speed.uncached or 0.0 for speed in found])
            ratio = f"{middle / without:.1f}" if without else "–"
            reference.setdefault(rows, middle)
            spread = f"{min(speeds):.0f}..{max(speeds):.0f}"
            line = f"{name:<20}{rows:>6}{middle:>14.0f}{spread:>18}{without:>14.0f}{ratio:>8}"
            print(f"{line}{middle / reference[rows]:>10.2f}", flush=True)


if __name__ == "__main__":
    run(main)
