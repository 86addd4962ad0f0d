"""How fast the splitters are: MB per second of CPU time, beside `bytes.split` and a copy on the same bytes.

python experiments/benchmarks/splitters.py stdlib 'corpus/*.jsonl.xz' notes.txt --piece=5000 --repeats=9
"""

import argparse
import time
from collections.abc import Callable
from itertools import chain
from statistics import median

from lexitok.data.readers import matching_files, read_jsonl, read_text
from lexitok.data.stdlib import read_stdlib
from lexitok.text.splitters import SPLITTERS, make_splitter


def documents(pattern: str, field: str, piece: int, most: int) -> list[bytes]:
    """The documents of a pattern (or of `stdlib`), none longer than `piece` bytes, `most` bytes together."""
    reads = [(read_jsonl if ".jsonl" in p.name else read_text)(p, p.name, field) for p in matching_files(pattern)]
    found, size = [], 0
    for document in read_stdlib() if pattern == "stdlib" else chain(*reads):
        data = document.data[: most - size]
        found += [data[at : at + piece] for at in range(0, len(data), piece)]
        if (size := size + len(data)) >= most:
            break
    return found


def rates(function: Callable[[bytes], object], data: list[bytes], repeats: int) -> list[float]:
    """MB per second of CPU time of `function` over `data`, `repeats` times after one to warm up; sorted."""
    megabytes, found = sum(map(len, data)) / 1e6, []
    for _ in range(repeats + 1):
        start = time.process_time()
        for document in data:
            function(document)
        found.append(megabytes / (time.process_time() - start))
    return sorted(found[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of the splitters.")
    parser.add_argument("patterns", nargs="*", default=["stdlib"], help="globs of text or JSONL files, or `stdlib`")
    parser.add_argument("--field", default="text", help="of a JSON object")
    parser.add_argument("--piece", type=int, default=1 << 30, help="longest document in bytes")
    parser.add_argument("--bytes", type=int, default=8_000_000, help="at most this many of each pattern")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    functions = {"copy": bytearray, "bytes.split": bytes.split} | {n: make_splitter(n).split for n in SPLITTERS}
    for pattern in args.patterns:
        data = documents(pattern, args.field, args.piece, args.bytes)
        if not data:
            parser.error(f"nothing to read in '{pattern}': no file matches, or all are empty")
        print(f"\n{pattern}: {sum(map(len, data)) / 1e6:.2f} MB, {len(data)} documents, {args.repeats} repeats")
        print(f"{'':>14} {'MB/s':>8}  {'least to most':>17}  {'× bytes.split':>13}")
        measured = {name: rates(function, data, args.repeats) for name, function in functions.items()}
        for name, r in measured.items():
            ratio = median(r) / median(measured["bytes.split"])
            print(f"{name:>14} {median(r):8.1f}  {r[0]:8.1f}–{r[-1]:8.1f}  {ratio:13.2f}")


if __name__ == "__main__":
    main()
