"""Arrays that a module needs and that nothing ever changes."""

import hashlib

import numpy as np


class Frozen:
    """A numpy array as a static part of a module: read-only, no leaf of the module's tree, equal by content.

    An array of integers must not be a leaf: `jax.grad` refuses it, and with `allow_int` its gradient is of dtype
    `float0`, which neither the clipping, the moments nor the averages of an optimizer can take. As a static part it is
    in no gradient, optimizer state, checkpoint or sharding; whoever makes the module makes it again, and traced
    functions hold it as a constant (every compiled function has a copy). Two modules that were made alike have equal
    trees, because content is compared, by SHA-256.

    Args:
      array: copied.
    """

    def __init__(self, array: np.ndarray) -> None:
        self.array = np.array(array, order="C")
        self.array.setflags(write=False)
        kind = f"{self.array.dtype.str}{self.array.shape}".encode()
        self._digest = hashlib.sha256(kind + self.array.tobytes()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frozen) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    def __repr__(self) -> str:
        return f"Frozen({self.array.dtype}{list(self.array.shape)}, {self._digest[:8]})"
