"""How many batches a second are made under drawn tokenizers, and where the time goes.

python experiments/benchmarks/drawn_vocabularies.py --source='jsonl:text/{split}.jsonl.xz' --spelled_by=tokenizer.model

A batch of `--rows` rows of `--symbols` symbols is some 100 kB of English. Shown are, for each source tokenizer: batches
a second of CPU time (of all threads together: what one core does), milliseconds of CPU time of the parts of a batch
(medians, and ranges over the batches), kB of text a batch, how full rows are, and of the tokens that are new to the
source the fraction that did not have to be worked out again. Last, text a second beside that of the pipeline with a
tokenizer of its own (`pipeline.py`), the same documents through the same rows.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from absl import flags

from lexitok.config.flags import run
from lexitok.data import text_stream
from lexitok.data.batch import Budget
from lexitok.data.drawn import DrawnIterator
from lexitok.data.encoders import SubwordEncoder
from lexitok.data.iterator import READ_AHEAD
from lexitok.data.packing import Packing
from lexitok.data.pipeline import batch_iterator
from lexitok.data.sources import Corpus, mixed, open_source, shuffled
from lexitok.data.spelling import Spelled
from lexitok.text.drawn.sampler import SamplerSettings, TokenizerSampler
from lexitok.text.drawn.unigram import UnigramTokenizer
from lexitok.text.tokenizer_files import load_tokenizer
from lexitok.text.vocabulary import Tokenizer

SOURCE = flags.DEFINE_string("source", "stdlib", "Source of the text.")
SPELLED_BY = flags.DEFINE_multi_string("spelled_by", None, "Files of source tokenizers, or one.", required=True)
SIZE = flags.DEFINE_integer("size", 32_768, "Ids of a drawn tokenizer.")
ROWS = flags.DEFINE_integer("rows", 28, "Rows of a batch.", lower_bound=1)
SYMBOLS = flags.DEFINE_integer("symbols", 1024, "Symbols of a row.", lower_bound=1)
BATCHES = flags.DEFINE_integer("batches", 20, "Batches that are timed, after three that are not.", lower_bound=1)

PARTS = {  # what is timed, and the others that are within it
    "window": (TokenizerSampler, "add", ()),
    "drawing": (TokenizerSampler, "sample", ()),
    "encoding": (UnigramTokenizer, "encode", ()),
    "packing": (text_stream.TextStream, "fill", ("encoding",)),
    "spelling": (Spelled, "__call__", ()),
}


class Timer:
    """Seconds of CPU time of some methods, a number for each batch."""

    def __init__(self) -> None:
        self.batches: list[dict[str, float]] = []
        self._seconds: dict[str, float] = defaultdict(float)
        for name, (owner, method, _) in PARTS.items():
            setattr(owner, method, self._timed(name, getattr(owner, method)))

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **more: Any) -> Any:
            began = time.process_time()
            try:
                return function(*args, **more)
            finally:
                self._seconds[name] += time.process_time() - began

        return timed

    def batch(self, function: Callable[[], Any]) -> Any:
        """Calls it, and keeps what each part of it took."""
        self._seconds.clear()
        began = time.process_time()
        result = function()
        spent = self._seconds
        self.batches.append({"all": time.process_time() - began})
        for name, (_, _, within) in PARTS.items():
            self.batches[-1][name] = spent[name] - sum(spent[other] for other in within)
        return result


def main() -> None:
    corpus, timer = open_source(SOURCE.value, "train", cache="~/.cache/lexitok"), Timer()
    titles = "".join(f"{f'ms {name}':>22}" for name in PARTS)
    print(f"{'spelled by':<28}{'a second':>22}{titles}{'kB':>7}{'full':>7}{'known':>7}{'MB/s':>7}{'of own':>8}")
    for path in SPELLED_BY.value:
        source = load_tokenizer(path)
        print(f"{path[-27:]:<28}{_line(corpus, source, timer)}", flush=True)


def _line(corpus: Corpus, source: Tokenizer, timer: Timer) -> str:
    spelled, iterator = _batches(corpus, source)
    for _ in range(3):
        next(iterator)
    timer.batches.clear()
    spelled.asked = spelled.worked_out = 0
    batches = [timer.batch(lambda: next(iterator)).batch for _ in range(BATCHES.value)]
    nbytes = sum(int(batch.tokens.bytes_BxS.sum()) for batch in batches)
    full = np.mean([np.count_nonzero(batch.tokens.segments_BxS) / batch.tokens.segments_BxS.size for batch in batches])
    seconds = [batch["all"] for batch in timer.batches]
    rate = nbytes / sum(seconds) / 1e6
    cells = [_spread([1 / s for s in seconds]), *(_spread([1e3 * b[name] for b in timer.batches]) for name in PARTS)]
    shown = "".join(f"{cell:>22}" for cell in cells)
    known = 1 - spelled.worked_out / spelled.asked
    share = rate / _own_rate(corpus, source)
    return f"{shown}{nbytes / len(batches) / 1e3:>7.0f}{full:>7.3f}{known:>7.3f}{rate:>7.2f}{share:>8.3f}"


def _batches(corpus: Corpus, source: Tokenizer) -> tuple[Spelled, DrawnIterator]:
    """What makes the batches, without the thread that prepares them ahead: its time would be that of all together."""
    documents = mixed(shuffled(corpus, seed=0), corpus.weights).to_iter_dataset(READ_AHEAD)
    spelled, rows = Spelled(source, 8), ROWS.value
    packing = Packing(rows, Budget(SYMBOLS.value, None, pad=2), (), bins=rows, seed=0)
    return spelled, DrawnIterator([iter(documents)], [1.0], spelled, SamplerSettings(size=SIZE.value), packing)


def _own_rate(corpus: Corpus, source: Tokenizer) -> float:
    """MB of text a second of CPU time under the source tokenizer itself."""
    iterator = batch_iterator(corpus, SubwordEncoder(source), rows=ROWS.value, symbols=SYMBOLS.value, units=1)
    next(iterator)
    began, before = time.process_time(), iterator.report.bytes_scored
    for _ in range(3 * BATCHES.value):
        next(iterator)
    return (iterator.report.bytes_scored - before) / (time.process_time() - began) / 1e6


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g}..{max(values):.3g})"


if __name__ == "__main__":
    run(main)
