"""How fast targets are pursued and what is left, beside mergekit's algorithm on the same rows and processor in one run.

    python3.11 -m venv torch && torch/bin/pip install numpy torch==2.13.0  # a build for CPUs
    LEXITOK_TORCH_PYTHON=torch/bin/python python experiments/benchmarks/matching_pursuit.py --table=gemma.gguf

Rows are of `--table` (a GGUF with `token_embd.weight`), drawn without replacement, or made up: Gaussian, along axes
whose strength falls off, with a common direction, and norms that spread lognormally by `--spread`. The peer runs in a
Python that has torch, on `--peer_targets` of the same targets, and takes turns with ours for `--repeats` rounds, each
with targets of its own.

Times are for 1,000 targets after compilation, the median of the rounds: seconds of wall clock, and seconds of all
threads together, which hang less on what else the machine does. How many times as fast as the peer is of each round by
itself, with the least and the most of them. `left` is the mean relative residual, made anew in float64 from indices and
coefficients, over the peer's targets of all rounds, for both. What is done once for all targets (moments of the atoms)
is counted: few targets make it seem slower than it is on many.
"""

import argparse
import dataclasses
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lexitok.hub.gguf_files import GgufFile
from lexitok.ops.matching_pursuit import IMPLEMENTATIONS, SELECT, matching_pursuit

PEER = Path(__file__).parent / "peers" / "mergekit_omp.py"


def made_up(count: int, width: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Rows that are as unevenly spread over directions as those of an embedding."""
    rows = rng.standard_normal((count, width), np.float32) / np.sqrt(np.arange(1, width + 1, dtype=np.float32))
    rows[:, 0] += 1
    rows *= np.exp(spread * rng.standard_normal((count, 1), np.float32)) / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def rows_of(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Targets, those of each round, and atoms."""
    rng, wanted = np.random.default_rng(args.seed), args.repeats * args.targets
    count = wanted + args.atoms
    if args.table is None:
        rows = made_up(count, args.width, args.spread, rng)
    else:
        table = GgufFile(args.table).tensors["token_embd.weight"]
        if count > table.shape[0]:
            sys.exit(f"{args.table} has {table.shape[0]} rows, not {wanted} targets and {args.atoms} atoms")
        rows = np.asarray(table.all(), np.float32)[rng.permutation(table.shape[0])[:count]]
    return rows[:wanted].reshape(args.repeats, args.targets, -1), rows[wanted:]


def left(targets: np.ndarray, atoms: np.ndarray, index: np.ndarray, coefficients: np.ndarray) -> float:
    """Mean relative norm of what the combinations leave."""
    found = np.einsum("TK,TKD->TD", coefficients.astype(np.float64), atoms[index].astype(np.float64))
    return float((np.linalg.norm(targets - found, axis=1) / np.linalg.norm(targets, axis=1)).mean())


@dataclasses.dataclass
class Timed:
    """One way to pursue: of each round the seconds for 1,000 targets, and what is left of the peer's targets."""

    wall: list[float] = dataclasses.field(default_factory=list)
    cpu: list[float] = dataclasses.field(default_factory=list)
    left: list[float] = dataclasses.field(default_factory=list)


Found = tuple[np.ndarray, np.ndarray, float, float]  # indices, coefficients, seconds of wall clock and of all threads


def ours(targets: jax.Array, atoms: jax.Array, k: int, **options: Any) -> Found:
    """What is found, and how long it takes."""
    start, cpu = time.perf_counter(), time.process_time()
    found = jax.block_until_ready(matching_pursuit(targets, atoms, k, **options))
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    return np.asarray(found.index_TxK), np.asarray(found.coefficients_TxK), wall, cpu


def peer(python: str, targets: np.ndarray, atoms: np.ndarray, k: int, batch: int) -> Found:
    """The same of mergekit's algorithm."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(source, targets=targets, atoms=atoms, k=k, batch=batch)
        subprocess.run([python, str(PEER), str(source), str(out)], check=True)
        found = np.load(out)
        return found["index"], found["coefficients"], float(found["seconds"]), float(found["cpu_seconds"])


def ratio(theirs: list[float], seconds: list[float]) -> str:
    """How many times as fast, the median of the rounds and their range."""
    each = np.array(theirs) / np.array(seconds)
    return f"{np.median(each):.1f} ({each.min():.1f}-{each.max():.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and residuals of matching pursuits.")
    parser.add_argument("--targets", type=int, default=2048, help="of a round")
    parser.add_argument("--peer_targets", type=int, default=512, help="of the targets; 0: no peer")
    parser.add_argument("--atoms", type=int, default=30_000)
    parser.add_argument("--width", type=int, default=640, help="of rows that are made up")
    parser.add_argument("--table", help="GGUF whose embedding gives the rows")
    parser.add_argument("--spread", type=float, default=0.2, help="of the logarithm of norms that are made up")
    parser.add_argument("--k", type=int, default=64)
    parser.add_argument("--shortlist", type=int, nargs="*", default=[256])
    parser.add_argument("--rounds", type=int, default=4, help="lists a target")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--peer_batch", type=int, default=512, help="mergekit's default")
    parser.add_argument("--select", nargs="*", default=["gain"], choices=SELECT)
    parser.add_argument("--implementation", nargs="*", default=["shortlist"], choices=list(IMPLEMENTATIONS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    targets_RxTxD, atoms = rows_of(args)
    few = args.peer_targets
    table = jax.device_put(atoms)
    ways: dict[str, Callable[[np.ndarray], tuple[int, Found]]] = {}
    python = os.environ.get("LEXITOK_TORCH_PYTHON")
    if python and few:
        ways["mergekit, in torch"] = lambda x: (few, peer(python, x[:few], atoms, args.k, args.peer_batch))
    elif few:
        print("no peer: LEXITOK_TORCH_PYTHON names no Python that has torch")
    for name in args.implementation:
        for length in args.shortlist if name == "shortlist" else [max(args.shortlist)]:
            for select in args.select:
                options = {"implementation": name, "select": select, "batch": args.batch}
                options |= {"shortlist": length, "rounds": args.rounds}
                said = f"{name}({length}), {select}" if name == "shortlist" else f"{name}, {select}"
                ways[said] = lambda x, options=options: (len(x), ours(jax.device_put(x), table, args.k, **options))
                ways[said](np.zeros_like(targets_RxTxD[0]))  # compiles; nothing is left to choose
    T = targets_RxTxD.shape[1]
    print(
        f"{args.repeats} rounds of {T} targets, {len(atoms)} atoms, width {atoms.shape[1]}, k = {args.k}; "
        f"{jax.devices()[0].device_kind}"
    )
    timed = {name: Timed() for name in ways}
    for targets in targets_RxTxD:
        for name, way in ways.items():
            count, (index, coefficients, wall, cpu) = way(targets)
            timed[name].wall.append(1e3 * wall / count)
            timed[name].cpu.append(1e3 * cpu / count)
            timed[name].left.append(left(targets[:few], atoms, index[:few], coefficients[:few]) if few else math.nan)
    print(f"{'for 1,000 targets':<24}{'s':>8}{'times as fast':>20}{'CPU s':>8}{'times as fast':>20}{'left':>9}")
    theirs = next(iter(timed.values()))
    for name, entry in timed.items():
        print(
            f"{name:<24}{np.median(entry.wall):>8.2f}{ratio(theirs.wall, entry.wall):>20}"
            f"{np.median(entry.cpu):>8.2f}{ratio(theirs.cpu, entry.cpu):>20}{np.mean(entry.left):>9.4f}"
        )


if __name__ == "__main__":
    main()
