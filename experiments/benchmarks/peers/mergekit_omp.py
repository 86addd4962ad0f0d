"""Orthogonal matching pursuit as mergekit's `tokensurgeon` publishes it, in torch, from its description.

Not mergekit's code, but its algorithm (arXiv 2506.06607, section 3): for a batch of targets, a place at a time, the
atom whose product with the residual is the largest (atoms as they are, none twice), made orthogonal to those before it
by Gram-Schmidt; the coefficients by a triangular solve at the end. All in float32, as there.

python experiments/benchmarks/peers/mergekit_omp.py IN.npz OUT.npz

`IN.npz` has `targets`, `atoms`, `k` and `batch`; `OUT.npz` gets `index`, `coefficients`, and of all batches, after one
step of the first to warm up, `seconds` of wall clock and `cpu_seconds` of all threads. It needs torch and numpy, and
nothing of lexitok.
"""

import sys
import time

import numpy as np
import torch  # pyright: ignore[reportMissingImports]

SMALLEST = 1e-8  # norm of what an atom adds


def pursue(targets: torch.Tensor, atoms: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices `[B, k]` and coefficients `[B, k]` for targets `[B, D]` and atoms `[N, D]`."""
    B, D = targets.shape
    every = torch.arange(B)
    residual = targets.clone()
    basis, upper = targets.new_zeros(B, D, k), targets.new_zeros(B, k, k)
    index = torch.zeros(B, k, dtype=torch.long)
    taken = torch.zeros(B, len(atoms), dtype=torch.bool)
    for place in range(k):
        products = (residual @ atoms.T).abs_().masked_fill_(taken, -1.0)
        at = products.argmax(dim=1)
        index[:, place], taken[every, at] = at, True
        atom, before = atoms[at].unsqueeze(2), basis[:, :, :place]
        along = before.transpose(1, 2) @ atom
        added = (atom - before @ along).squeeze(2)
        size = added.norm(dim=1).clamp_min(SMALLEST)
        upper[:, :place, place], upper[:, place, place] = along.squeeze(2), size
        basis[:, :, place] = added / size[:, None]
        found = basis[:, :, : place + 1]
        residual = targets - (found @ (found.transpose(1, 2) @ targets.unsqueeze(2))).squeeze(2)
    right = basis.transpose(1, 2) @ targets.unsqueeze(2)
    return index, torch.linalg.solve_triangular(upper, right, upper=True).squeeze(2)


def main(source: str, out: str) -> None:
    given = np.load(source)
    targets, atoms = (torch.from_numpy(given[name]) for name in ("targets", "atoms"))
    k, batch = int(given["k"]), int(given["batch"])
    pursue(targets[:batch], atoms, 1)
    start, cpu = time.perf_counter(), time.process_time()
    found = [pursue(part, atoms, k) for part in targets.split(batch)]
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    index, coefficients = (torch.cat(part).numpy() for part in zip(*found, strict=True))
    np.savez(out, index=index, coefficients=coefficients, seconds=seconds, cpu_seconds=cpu_seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
