"""How fast batches are made: MB of text a second of CPU time, source to batch, for each kind of symbols.

python experiments/benchmarks/pipeline.py --source=stdlib --repeats=5

The reference of the same run reads the same documents and does nothing with them. `data.workers` is not used: all the
work is done in threads of one process, whose CPU time is counted.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from lexitok.config import default_config
from lexitok.data.encoders import make_encoder, make_tokenizer
from lexitok.data.pipeline import batch_iterator
from lexitok.data.report import PipelineReport
from lexitok.data.sources import open_source

KINDS = {"bytes": "", "byte_units": "lagged", "byte_units ": "end_symbol", "subword": ""}


def rates(job: Callable[[], int], repeats: int) -> list[float]:
    """MB per second of CPU time of a job that returns its bytes, `repeats` times after one to warm up; sorted."""
    found = []
    for _ in range(repeats + 1):
        start = time.process_time()
        found.append(job() / 1e6 / (time.process_time() - start))
    return sorted(found[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of the data pipeline.")
    data: Any = default_config().data
    for name in ("source", "cache", "rows", "symbols", "units", "packing_bins"):
        parser.add_argument(f"--{name}", default=data[name], type=type(data[name]))
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    corpus = open_source(args.source, "train", cache=args.cache)
    text: Any = default_config().text
    tokenizer = make_tokenizer(text.vocabulary, (document.data for document in corpus.documents()))
    shape = {name: getattr(args, name) for name in ("rows", "symbols", "units", "packing_bins")}
    print(f"{args.source}: {len(corpus)} documents; {shape}; {args.repeats} repeats")
    print(f"{'':>22} {'MB/s':>7}  {'least to most':>15}  symbols full  units full  dropped")
    r = rates(lambda: sum(len(document.data) for document in corpus.documents()), args.repeats)
    print(f"{'read only':>22} {median(r):7.1f}  {r[0]:6.1f} – {r[-1]:6.1f}")
    for kind, boundary in KINDS.items():
        text.kind, text.boundary = kind.strip(), boundary
        encoder, report = make_encoder(text, tokenizer), PipelineReport()

        def epoch(encoder=encoder, report=report) -> int:
            iterator = batch_iterator(corpus, encoder, epochs=1, **shape)
            for _ in iterator:
                pass
            vars(report).update(vars(iterator.report))
            return report.bytes_scored

        r, m = rates(epoch, args.repeats), report.metrics()
        fill = f"{m['data/symbols_filled']:12.3f}  {m['data/units_filled']:10.3f}  {report.bytes_dropped:7d}"
        print(f"{f'{kind.strip()} {boundary}':>22} {median(r):7.1f}  {r[0]:6.1f} – {r[-1]:6.1f}  {fill}")


if __name__ == "__main__":
    main()
