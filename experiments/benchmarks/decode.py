"""Decoding speed: every model of the size `cpu`, through its caches and without them, beside a token model.

python experiments/benchmarks/decode.py --rows=1 --rows=32
python experiments/benchmarks/decode.py --size=gpu1 --rows=1 --rows=32 --models=hat_v2 --models=subword

Weights are random: the text that is written is given (`lexitok/analysis/decode_speed.py`). Models are measured in turn,
so that all meet the same machine; ratios are to the first model in the same round, the subword model with the same
backbone, and to the model's own speed without caches.
"""

import logging
import statistics
from typing import Any

import jax
from absl import flags

from lexitok.analysis.decode_speed import DecodeSpeed, decode_speed
from lexitok.config.files import load_config
from lexitok.config.flags import run
from lexitok.data.encoders import Encoder
from lexitok.data.sources import open_source
from lexitok.training.setup import make_setup

log = logging.getLogger(__name__)
SIZE = flags.DEFINE_string("size", "cpu", "Variant of every config.")
ROWS = flags.DEFINE_multi_integer("rows", [1, 32], "Texts that are written at once.")
ROUNDS = flags.DEFINE_integer("rounds", 3, "Measurements of each model, in turn; medians and ranges are shown.")
WRITE = flags.DEFINE_integer("write", 128, "Bytes of a row that are written and timed, after as many that are not.")
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
COLUMNS = (
    ("rows", 6),
    ("cached B/s", 12),
    ("to first (range)", 25),
    ("uncached B/s", 14),
    ("cached/uncached", 25),
)
HEAD = f"{'model':<20}" + "".join(f"{title:>{width}}" for title, width in COLUMNS)


def main() -> None:
    documents = open_source("stdlib", "validation", cache="~/.cache/lexitok", field="text").documents(1_000_000)
    text = max((document.data for document in documents), key=len)
    made = {name: _make(name) for name in MODELS.value}
    print(HEAD)
    for rows in ROWS.value:
        found: dict[str, list[DecodeSpeed]] = {name: [] for name in made}
        for turn in range(ROUNDS.value):
            for name, (model, encoder) in made.items():
                speed = decode_speed(model, encoder, text, rows=rows, write=WRITE.value, uncached=UNCACHED.value)
                found[name].append(speed)
                log.info("round %d, %s, %d rows: %s", turn, name, rows, speed)
        first = found[MODELS.value[0]]
        for name, speeds in found.items():
            print(_line(name, speeds, first), flush=True)


def _make(name: str) -> tuple[Any, Encoder]:
    setup = make_setup(load_config(f"configs/{ALL[name].format(size=SIZE.value)}"), devices=jax.devices()[:1])
    return setup.init_model(), setup.encoder


def _line(name: str, speeds: list[DecodeSpeed], first: list[DecodeSpeed]) -> str:
    to_first = _ratios([speed.cached / other.cached for speed, other in zip(speeds, first, strict=True)])
    without = [speed.uncached for speed in speeds if speed.uncached]
    gain = _ratios([speed.cached / speed.uncached for speed in speeds if speed.uncached])
    uncached = f"{statistics.median(without):.1f}" if without else "–"
    cached = statistics.median(speed.cached for speed in speeds)
    return f"{name:<20}{speeds[0].rows:>6}{cached:>12.0f}{to_first:>25}{uncached:>14}{gain:>25}"


def _ratios(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g}..{max(values):.3g})" if values else "–"


if __name__ == "__main__":
    run(main)
