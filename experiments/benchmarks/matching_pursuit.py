"""How fast targets are pursued and what is left, beside mergekit's algorithm on the same rows and processor in one run.

LEXITOK_TORCH_PYTHON=torch/bin/python python experiments/benchmarks/matching_pursuit.py --targets=512 --atoms=60000

Rows are of `--table` (a GGUF with `token_embd.weight`), drawn without replacement, or made up: Gaussian, along axes
whose strength falls off, with a common direction, and norms that spread lognormally by `--spread`. The peer runs in a
Python that has torch, on `--peer_targets` of the same targets; times are seconds of wall clock a 1,000 targets, after
compilation. `left` is the mean relative residual, made anew in float64 from indices and coefficients, over the peer's
targets, for both.
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lexitok.hub.gguf_files import GgufFile
from lexitok.ops.matching_pursuit import IMPLEMENTATIONS, SELECT, Pursuit, matching_pursuit

PEER = Path(__file__).parent / "peers" / "mergekit_omp.py"


def made_up(count: int, width: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Rows that are as unevenly spread over directions as those of an embedding."""
    rows = rng.standard_normal((count, width), np.float32) / np.sqrt(np.arange(1, width + 1, dtype=np.float32))
    rows[:, 0] += 1
    rows *= np.exp(spread * rng.standard_normal((count, 1), np.float32)) / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def rows_of(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Targets and atoms."""
    rng, count = np.random.default_rng(args.seed), args.targets + args.atoms
    if args.table is None:
        rows = made_up(count, args.width, args.spread, rng)
    else:
        table = GgufFile(args.table).tensors["token_embd.weight"]
        rows = np.asarray(table.all(), np.float32)[rng.permutation(table.shape[0])[:count]]
    return rows[: args.targets], rows[args.targets :]


def left(targets: np.ndarray, atoms: np.ndarray, index: np.ndarray, coefficients: np.ndarray) -> float:
    """Mean relative norm of what the combinations leave."""
    found = np.einsum("TK,TKD->TD", coefficients.astype(np.float64), atoms[index].astype(np.float64))
    return float((np.linalg.norm(targets - found, axis=1) / np.linalg.norm(targets, axis=1)).mean())


def ours(targets: np.ndarray, atoms: np.ndarray, k: int, repeats: int, **options: Any) -> tuple[Pursuit, float]:
    """The combinations, and the seconds of the fastest of `repeats` runs after one to compile."""
    x, table = jax.device_put((targets, atoms))
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        found = jax.block_until_ready(matching_pursuit(x, table, k, **options))
        seconds.append(time.perf_counter() - start)
    return found, min(seconds[1:])


def peer(
    python: str, targets: np.ndarray, atoms: np.ndarray, k: int, batch: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Indices, coefficients and seconds of mergekit's algorithm."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(source, targets=targets, atoms=atoms, k=k, batch=batch)
        subprocess.run([python, str(PEER), str(source), str(out)], check=True)
        found = np.load(out)
        return found["index"], found["coefficients"], float(found["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and residuals of matching pursuits.")
    parser.add_argument("--targets", type=int, default=512)
    parser.add_argument("--peer_targets", type=int, default=512, help="of the targets; 0: no peer")
    parser.add_argument("--atoms", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=640, help="of rows that are made up")
    parser.add_argument("--table", help="GGUF whose embedding gives the rows")
    parser.add_argument("--spread", type=float, default=0.2, help="of the logarithm of norms that are made up")
    parser.add_argument("--k", type=int, default=64)
    parser.add_argument("--shortlist", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--peer_batch", type=int, default=512, help="mergekit's default")
    parser.add_argument("--select", nargs="*", default=["gain"], choices=SELECT)
    parser.add_argument("--implementation", nargs="*", default=["shortlist"], choices=list(IMPLEMENTATIONS))
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    targets, atoms = rows_of(args)
    few = targets[: args.peer_targets]
    device = jax.devices()[0]
    print(f"{len(targets)} targets, {len(atoms)} atoms, width {atoms.shape[1]}, k = {args.k}; {device.device_kind}")
    print(f"{'':<24}{'s per 1,000 targets':>20}{'times faster':>14}{'left':>10}")
    theirs = float("nan")

    def show(name: str, seconds: float, index: np.ndarray, coefficients: np.ndarray) -> None:
        rest = left(few, atoms, index[: len(few)], coefficients[: len(few)]) if len(few) else float("nan")
        print(f"{name:<24}{seconds:>20.2f}{theirs / seconds:>14.2f}{rest:>10.5f}", flush=True)

    if (python := os.environ.get("LEXITOK_TORCH_PYTHON")) and len(few):
        index, coefficients, seconds = peer(python, few, atoms, args.k, args.peer_batch)
        theirs = 1e3 * seconds / len(few)
        show("mergekit, in torch", theirs, index, coefficients)
    elif len(few):
        print("no peer: LEXITOK_TORCH_PYTHON names no Python that has torch")
    for name in args.implementation:
        for select in args.select:
            options = {"shortlist": args.shortlist, "rounds": args.rounds, "batch": args.batch, "select": select}
            found, seconds = ours(targets, atoms, args.k, args.repeats, implementation=name, **options)
            arrays = np.asarray(found.index_TxK), np.asarray(found.coefficients_TxK)
            show(f"{name}, {select}", 1e3 * seconds / len(targets), *arrays)


if __name__ == "__main__":
    main()
