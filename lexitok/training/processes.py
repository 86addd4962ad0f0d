"""Runs of several processes: pods."""

import jax

PROCESSES = ("one", "auto")


def join(processes: str) -> None:
    """Joins the processes of a pod; to be called before anything else touches JAX.

    Args:
      processes: `one`, this process is the whole run; `auto`, JAX finds the others (Cloud TPU, SLURM, Kubernetes).

    Raises:
      ValueError: another word.
    """
    if processes not in PROCESSES:
        raise ValueError(f"--processes is one of {', '.join(PROCESSES)}, not '{processes}'")
    if processes == "auto":
        jax.distributed.initialize()
