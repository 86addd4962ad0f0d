"""What general compressors and a byte histogram make of the same bytes: the numbers beside every bits per byte."""

import functools
import gzip
import lzma
import math
from collections.abc import Callable, Sequence

import numpy as np

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, compresslevel=9, mtime=0),
    "xz": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
}


def compressed_bpb(documents: Sequence[bytes]) -> dict[str, float]:
    """Bits per byte of compressors at their strongest setting, headers included, and of a histogram.

    Returns:
      `gzip` and `xz`: all documents in one string, so that a document profits from those before it; `gzip_each` and
      `xz_each`: every document alone; `order0`: the entropy of the histogram of all bytes. NaN if there are no bytes.
    """
    return dict(_compressed_bpb(tuple(documents)))


@functools.lru_cache(maxsize=2)  # a run evaluates on the same documents again and again
def _compressed_bpb(documents: tuple[bytes, ...]) -> dict[str, float]:
    whole = b"".join(documents)
    if not whole:
        return dict.fromkeys(("gzip", "xz", "gzip_each", "xz_each", "order0"), math.nan)
    each = {f"{name}_each": sum(len(f(d)) for d in documents) for name, f in COMPRESSORS.items()}
    together = {name: len(f(whole)) for name, f in COMPRESSORS.items()}
    return {k: 8 * n / len(whole) for k, n in (together | each).items()} | {"order0": order0_entropy(whole)}


def order0_entropy(data: bytes) -> float:
    """Entropy of the histogram of bytes, in bits per byte: the least that a model without context can reach."""
    counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256)
    p = counts[counts > 0] / max(len(data), 1)
    return float(-(p * np.log2(p)).sum())
