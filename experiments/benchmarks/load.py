"""How long a checkpoint takes to load, as a ratio to reading the bytes of its files.

python experiments/benchmarks/load.py --source=gemma-hf
python experiments/benchmarks/load.py --source=gemma-3-270m.gguf --dtype=bfloat16

Both are measured in turn, with the files in the page cache, onto one device. The tokenizer is timed by itself.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from absl import flags

from lexitok.config.flags import run
from lexitok.hub.description import describe
from lexitok.hub.load import described, read_model, tokenizer_of

SOURCE = flags.DEFINE_string("source", None, "A directory in Hugging Face's layout, or a GGUF.", required=True)
DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16", "float16"], "Of matrices and tables.")
ROUNDS = flags.DEFINE_integer("rounds", 5, "Measurements, of which medians and ranges are shown.", lower_bound=1)


def main() -> None:
    source = Path(SOURCE.value)
    files = sorted(source.glob("*.safetensors")) if source.is_dir() else [source]
    gigabytes = sum(file.stat().st_size for file in files) / 1e9
    _read(files)  # into the page cache
    reading, loading = [], []
    for _ in range(ROUNDS.value):
        reading.append(_seconds(lambda: _read(files)))
        loading.append(_seconds(lambda: _load(source)))
    ratios = [load / read for load, read in zip(loading, reading, strict=True)]
    print(
        f"{gigabytes:.3f} GB read in {statistics.median(reading):.2f} s, loaded in {statistics.median(loading):.2f} s"
    )
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})")
    print(f"tokenizer {_seconds(lambda: tokenizer_of(source, describe(source))):.2f} s")


def _read(files: list[Path]) -> None:
    for file in files:
        file.read_bytes()


def _load(source: Path) -> None:
    _, description = described(source)
    jax.block_until_ready(read_model(description, dtype=DTYPE.value))


def _seconds(function: Callable[[], Any]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


if __name__ == "__main__":
    run(main)
