"""The measure of every model: bits per byte, a ratio of sums."""

import math

LN2 = math.log(2)


def bits_per_byte(nats: float, nbytes: float) -> float:
    """`nats / (ln 2 * nbytes)`; NaN where there are no bytes."""
    return nats / (LN2 * nbytes) if nbytes else math.nan
