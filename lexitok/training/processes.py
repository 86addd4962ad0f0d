"""Runs of several processes: pods, clusters, or a few processes on one machine."""

import hashlib
import re

import jax
import numpy as np
from jax.experimental import multihost_utils

PROCESSES = ("one", "auto", "ADDRESS:PORT,COUNT,INDEX")
_NAMED = re.compile(r"(?P<address>[^,]+:\d+),(?P<count>\d+),(?P<index>\d+)")


class ProcessesError(ValueError):
    """Processes that cannot be joined, or that do not do the same; the message says which."""


def join(processes: str) -> None:
    """Joins the processes of a run; to be called before anything else touches JAX.

    Args:
      processes: `one`, this process is the whole run; `auto`, JAX finds the others (Cloud TPU, SLURM, Kubernetes); or
        where no scheduler says it, the address and a free port of process 0, how many there are, and which this is, as
        `10.0.0.1:1234,4,0`.

    Raises:
      ProcessesError: something else, or a number that is none of the processes'.
    """
    if processes == "one":
        return
    if processes == "auto":
        jax.distributed.initialize()
        return
    match = _NAMED.fullmatch(processes)
    if match is None:
        raise ProcessesError(f"--processes is one of {', '.join(PROCESSES)}, not '{processes}'")
    count, index = int(match["count"]), int(match["index"])
    if index >= count:
        raise ProcessesError(f"--processes={processes}: of {count} processes the last is number {count - 1}")
    jax.distributed.initialize(match["address"], count, index)


def from_first(data: bytes | None) -> bytes:
    """What process 0 has, in all processes; the others hand in None."""
    if jax.process_count() == 1:
        assert data is not None
        return data
    length = multihost_utils.broadcast_one_to_all(np.asarray(len(data or b""), np.int32))
    sent = np.zeros(int(length), np.uint8)
    if data is not None:
        sent[:] = np.frombuffer(data, np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(sent)).astype(np.uint8).tobytes()


def check_same(what: str, value: str) -> None:
    """Raises a `ProcessesError` unless all processes have the same of something, such as a vocabulary's fingerprint."""
    if jax.process_count() == 1:
        return
    digest = np.frombuffer(hashlib.sha256(value.encode()).digest()[:8], np.int32)
    found = np.asarray(multihost_utils.process_allgather(digest)).reshape(-1, 2)
    differing = [i for i, row in enumerate(found) if (row != found[0]).any()]
    if differing:
        raise ProcessesError(f"{what} is not the same in all processes: it differs from process 0's in {differing}")
