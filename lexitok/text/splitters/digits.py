"""How runs of digits are cut, on top of any rule.

- `free`: as the rule has it.
- `single`: between any two digits.
- `left3`: after every third digit of a run, counted from its left ("1234567" → "123", "456", "7").
- `right3`: before every third digit of a run, counted from its right ("1", "234", "567"), which is only known when the
  run has ended.

Except under `free`, a run of digits is also cut off from what is around it ("x86b" → "x", "86", "b"), but for the
neighbours that the rule would put into the same unit and that hold no letters: with `unicode_words` one space before
the run, and punctuation and combining marks behind it; with `whitespace` the whitespace behind it; with `spacelike`
space-like bytes. Rules on characters know all decimal digits of Unicode (`\\p{Nd}`), rules on bytes those of ASCII.
"""

from collections import deque

import numpy as np
from jaxtyping import Bool, Int64, UInt8

SCHEMES = ("free", "single", "left3", "right3")
_GROUP = {"single": 1, "left3": 3, "right3": 3}

Roles = tuple[np.ndarray, np.ndarray, np.ndarray]


def cut_digits(
    scheme: str, classes: UInt8[np.ndarray, "c"], starts: Bool[np.ndarray, "c"], roles: Roles
) -> tuple[Bool[np.ndarray, "c"], Int64[np.ndarray, "c"] | None]:
    """Where units start once runs of digits are cut, and the index of the atom with which each start is settled.

    Args:
      scheme: one of `SCHEMES`, not `free`.
      classes: of the atoms (characters or bytes).
      starts: where the rule starts units.
      roles: over classes: digits; what the rule may keep before one in its unit; and behind one.

    Returns:
      The starts, and None if each is settled with its own atom (else `c` stands for: not in this text).
    """
    digit, before, behind = (role[classes] for role in roles)
    run_start, run_end = _runs(digit)
    starts = starts.copy()
    starts[1:] |= digit[1:] & ~digit[:-1] & ~before[:-1]
    starts[1:] |= digit[:-1] & ~digit[1:] & ~behind[1:]
    lengths = run_end - run_start
    place = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    at = np.repeat(run_start, lengths) + place
    from_end = np.repeat(lengths, lengths) - place
    groups = from_end if scheme == "right3" else place
    starts[at] |= (place > 0) & (groups % _GROUP[scheme] == 0)
    if scheme != "right3":
        return starts, None
    settled = np.arange(len(classes))
    settled[at] = np.where(place > 0, at + from_end, at)
    return starts, settled


def _runs(digit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    edges = np.flatnonzero(np.diff(digit, prepend=False, append=False))
    return edges[::2], edges[1::2]


class DigitStream:
    """`cut_digits`, an atom at a time."""

    def __init__(self, scheme: str, roles: Roles) -> None:
        self._group = _GROUP[scheme]
        self._from_right = scheme == "right3"
        self._digit, self._before, self._behind = roles
        self._previous = -1
        self._place = 0  # in the run of digits
        self._held: deque[tuple[int, bool]] = deque()  # digits whose starts depend on the end of their run

    def push(self, character: int, length: int, start: bool) -> list[tuple[int, bool]]:
        """Reads the class of an atom, its bytes and the rule's say; returns the now settled (length, start)."""
        previous, self._previous = self._previous, character
        in_run = previous >= 0 and bool(self._digit[previous])
        if self._digit[character]:
            self._place = self._place + 1 if in_run else 0
            if not in_run:
                return [(length, start or (previous >= 0 and not self._before[previous]))]
            if self._from_right:
                self._held.append((length, start))
                return []
            return [(length, start or self._place % self._group == 0)]
        settled = []
        while self._held:
            size, was_start = self._held.popleft()
            settled.append((size, was_start or (len(self._held) + 1) % self._group == 0))
        return [*settled, (length, start or (in_run and not self._behind[character]))]
