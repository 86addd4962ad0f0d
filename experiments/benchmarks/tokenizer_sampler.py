"""How fast tokenizers are drawn from a window of text, and texts encoded with each.

python experiments/benchmarks/tokenizer_sampler.py --sources=stdlib,'jsonl:text/{split}.jsonl.xz' --stride=1 --stride=4

A step reads `--bytes` of new text into a full window, draws a tokenizer and encodes that text with it. Shown are steps
a second of CPU time (of all threads together: what one core does), milliseconds of the parts, MB of text encoded a
second, and ids that are in use (a window may have fewer substrings than `--size`); medians, and ranges of the steps.
"""

import dataclasses
import itertools
import statistics
import time
from collections.abc import Iterator

import numpy as np
from absl import flags

from lexitok.config.flags import run
from lexitok.data.sources import open_source
from lexitok.text.drawn.sampler import SamplerSettings, TokenizerSampler

SOURCES = flags.DEFINE_list("sources", "stdlib", "Sources of text, joined by commas.")
SPLIT = flags.DEFINE_string("split", "train", "Split of the sources.")
SIZE = flags.DEFINE_integer("size", 32_768, "Ids of a tokenizer.")
WINDOW = flags.DEFINE_integer("window", 1_000_000, "Bytes of the window.", lower_bound=1)
STRIDE = flags.DEFINE_multi_integer("stride", [1], "Substrings start at every so-manieth character of a word.")
BYTES = flags.DEFINE_integer("bytes", 100_000, "Bytes that a step reads and encodes.", lower_bound=1)
STEPS = flags.DEFINE_integer("steps", 10, "Steps that are timed, after two that are not.", lower_bound=1)
COLUMNS = (("a second", 20), ("ms to read", 20), ("ms to draw", 20), ("ms to encode", 20), ("MB/s", 19))


@dataclasses.dataclass(frozen=True)
class Step:
    """Seconds of CPU time; bytes and tokens of the text; ids that stand for bytes."""

    read: float
    draw: float
    encode: float
    nbytes: int
    tokens: int
    used: int


def main() -> None:
    titles = "".join(f"{title:>{width}}" for title, width in COLUMNS)
    print(f"{'source':<40}{'stride':>7}{titles}{'ids':>8}{'bytes a token':>15}")
    for source in SOURCES.value:
        for stride in STRIDE.value:
            settings = SamplerSettings(size=SIZE.value, window_bytes=WINDOW.value, stride=stride)
            print(f"{source[-39:]:<40}{stride:>7}{_line(_steps(source, settings))}", flush=True)


def _steps(source: str, settings: SamplerSettings) -> list[Step]:
    texts, sampler = _texts(source), TokenizerSampler(settings)
    for _ in range(-(-WINDOW.value // BYTES.value)):
        sampler.add([next(texts)])
    return [_step(sampler, next(texts)) for _ in range(STEPS.value + 2)][2:]


def _texts(source: str) -> Iterator[bytes]:
    """Stretches of `--bytes` of the documents, one behind the other; from the start again where they end."""
    held = b""
    while True:
        corpus = open_source(source, SPLIT.value, cache="~/.cache/lexitok", field="text")
        for document in corpus.documents(1 << 40):
            held += document.data
            while len(held) >= BYTES.value:
                yield held[: BYTES.value]
                held = held[BYTES.value :]


def _step(sampler: TokenizerSampler, text: bytes) -> Step:
    times = [time.process_time()]
    sampler.add([text])
    times.append(time.process_time())
    tokenizer = sampler.sample()
    times.append(time.process_time())
    encoding = tokenizer.encode(text)
    times.append(time.process_time())
    read, draw, encode = (end - begin for begin, end in itertools.pairwise(times))
    used = int(np.count_nonzero(tokenizer.vocabulary.lengths))
    return Step(read, draw, encode, len(text), len(encoding.ids), used)


def _line(steps: list[Step]) -> str:
    cells = (
        _spread([1 / (step.read + step.draw + step.encode) for step in steps]),
        _spread([1e3 * step.read for step in steps]),
        _spread([1e3 * step.draw for step in steps]),
        _spread([1e3 * step.encode for step in steps]),
        _spread([step.nbytes / step.encode / 1e6 for step in steps]),
    )
    per_token = sum(step.nbytes for step in steps) / sum(step.tokens for step in steps)
    shown = "".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, COLUMNS, strict=True))
    return f"{shown}{statistics.median(step.used for step in steps):>8.0f}{per_token:>15.2f}"


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g}..{max(values):.3g})"


if __name__ == "__main__":
    run(main)
