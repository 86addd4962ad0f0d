"""The source `digits`: numbers that are copied and added, for models that are too small to learn it from other text.

A tokenizer says which digits a token holds, and a transfer to another one breaks what a model knows of them first. A
document is lines such as `copy 48151 : 48151` and `382 + 47 = 429`; numbers have one to five digits, and what is added
one to three.
"""

from collections.abc import Callable, Iterator

import numpy as np

from lexitok.data.readers import RawDocument

LICENSE = "none is needed: random numbers"
DOCUMENTS, LINES = 1000, 64
VERSION = 1  # of what is drawn: another number, other documents


def read_digits() -> Iterator[RawDocument]:
    """The documents, the same everywhere."""
    for number in range(DOCUMENTS):
        rng = np.random.default_rng([VERSION, number])
        tasks = [list(TASKS.values())[kind] for kind in rng.integers(len(TASKS), size=LINES).tolist()]
        yield RawDocument(f"{number:05d}", "".join("".join(task(rng)) + "\n" for task in tasks).encode())


def copying(rng: np.random.Generator) -> tuple[str, str]:
    """A line that says a number again: what it asks, and the answer."""
    digits = _number(rng, 5)
    return f"copy {digits} :", f" {digits}"


def adding(rng: np.random.Generator) -> tuple[str, str]:
    """A line that adds two numbers: what it asks, and the answer."""
    a, b = _number(rng, 3), _number(rng, 3)
    return f"{a} + {b} =", f" {a + b}"


def _number(rng: np.random.Generator, longest: int) -> int:
    """Of one to `longest` digits, all lengths alike."""
    digits = int(rng.integers(1, longest + 1))
    return int(rng.integers(10 ** (digits - 1) if digits > 1 else 0, 10**digits))


TASKS: dict[str, Callable[[np.random.Generator], tuple[str, str]]] = {"copying": copying, "adding": adding}
