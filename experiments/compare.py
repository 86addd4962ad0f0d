"""Compares runs: a table, bits per byte by arm, and bits per byte against bytes seen and against wall-clock.

Runs that differ only in their seed are one arm; arms are compared with that of the first run.

python experiments/compare.py runs/quickstart/hat runs/quickstart/subword --out=runs/quickstart/compare
"""

import argparse
import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Several runs in one table and one plot.")
    parser.add_argument("runs", nargs="+", type=Path, help="run directories")
    parser.add_argument("--out", type=Path, default=Path("runs/compare"), help="folder for table.md and plots")
    args = parser.parse_args(argv)

    from lexitok.analysis import RunError, read_run, write_comparison
    from lexitok.evals import DocumentsError
    from lexitok.runs.metrics import MetricsError

    try:
        print(write_comparison([read_run(path) for path in args.runs], args.out))
    except (RunError, MetricsError, DocumentsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
