"""How fast tokenizers encode, beside their own libraries, and how long it takes to align two encodings of a text.

python experiments/benchmarks/encoding.py --tokenizers=gemma-3-270m.gguf,tokenizer.json --source=stdlib

MB of raw bytes per second of CPU time, median and range of the rounds; the ratio is of one round, to what the library
does by itself. Pairs are aligned over a text of so many bytes that the first tokenizer makes `--tokens` of it.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import flags

from lexitok.config.flags import run
from lexitok.data.sources import open_source
from lexitok.text.alignment import TokenEnds, align
from lexitok.text.tokenizer_checks import HasLibrary
from lexitok.text.tokenizer_files import load_tokenizer
from lexitok.text.vocabulary import Tokenizer

TOKENIZERS = flags.DEFINE_list("tokenizers", None, "Files or directories, joined by commas.", required=True)
SOURCE = flags.DEFINE_string("source", "stdlib", "Source of the text.")
SPLIT = flags.DEFINE_string("split", "validation", "Split of the source.")
BYTES = flags.DEFINE_integer("bytes", 500_000, "Whole documents up to so many bytes.")
TOKENS = flags.DEFINE_integer("tokens", 2000, "Tokens of the first tokenizer that are aligned.")
ROUNDS = flags.DEFINE_integer("rounds", 5, "Measurements.", lower_bound=1)


def main() -> None:
    paths = TOKENIZERS.value
    corpus = open_source(SOURCE.value, SPLIT.value, cache="~/.cache/lexitok", field="text")
    documents = [document.data for document in corpus.documents(BYTES.value)]
    tokenizers = {path: load_tokenizer(path) for path in paths}
    print(f"{'tokenizer':<40}{'MB/s':>24}{'to its library':>24}")
    for path, tokenizer in tokenizers.items():
        _encode(path, tokenizer, documents)
    text = _text_of(tokenizers[paths[0]], b"\n".join(documents), TOKENS.value)
    print(f"\n{'aligned':<70}{'tokens':>14}{'ms':>24}")
    for i, a in enumerate(paths):
        for b in paths[i + 1 :]:
            _align(f"{Path(a).name}, {Path(b).name}", tokenizers[a], tokenizers[b], text)


def _encode(path: str, tokenizer: Tokenizer, documents: list[bytes]) -> None:
    megabytes = sum(map(len, documents)) / 1e6
    texts = [data.decode(errors="replace") for data in documents]
    ours, ratios = [], []
    for _ in range(ROUNDS.value):
        seconds = _seconds(lambda: [tokenizer.encode(data) for data in documents])
        ours.append(megabytes / seconds)
        if isinstance(tokenizer, HasLibrary):
            ratios.append(_seconds(lambda: [tokenizer.library_ids(text) for text in texts]) / seconds)
    print(f"{Path(path).name[:38]:<40}{_spread(ours):>24}{_spread(ratios):>24}", flush=True)


def _align(name: str, a: Tokenizer, b: Tokenizer, text: bytes) -> None:
    sides = []
    for tokenizer in (a, b):
        encoding = tokenizer.encode(text)
        sides.append(TokenEnds.of(encoding.ids, encoding.nbytes, tokenizer.vocabulary))
    align(*sides)
    times = [1e3 * _seconds(lambda: align(*sides)) for _ in range(100)]
    counts = "/".join(str(len(side.ends)) for side in sides)
    print(f"{name[:68]:<70}{counts:>14}{_spread(times):>24}", flush=True)


def _text_of(tokenizer: Tokenizer, data: bytes, tokens: int) -> bytes:
    """As much of the beginning as the tokenizer makes so many tokens of."""
    encoding = tokenizer.encode(data[: 32 * tokens])
    return data[: int(encoding.nbytes[:tokens].sum())]


def _seconds(function: Callable[[], Any]) -> float:
    began = time.process_time()
    function()
    return time.process_time() - began


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}..{max(values):.2f})" if values else "–"


if __name__ == "__main__":
    run(main)
