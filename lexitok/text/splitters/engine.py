"""From a rule to a `Splitter`: digits and the byte limit on top, and what is known when.

A rule looks at atoms: at characters, or at bytes. One on characters says whether a unit *starts* before a character,
and needs to see it. One on bytes says whether a unit *ends* with a byte, so its units are known to be complete at their
own last byte. With digits cut, every rule needs to see the next atom.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from lexitok.text.segmentation import Segmentation, SplitterStream
from lexitok.text.splitters.characters import Atoms, CharacterStream, characters
from lexitok.text.splitters.digits import DigitStream, Roles, cut_digits
from lexitok.text.splitters.limit import LimitStream, limit_units


@runtime_checkable
class Machine(Protocol):
    """A rule that reads one atom at a time."""

    def step(self, character: int, /) -> bool:
        """Reads the class of a character, or a byte; returns whether a unit starts before it, or ends with it."""
        ...


@runtime_checkable
class CharacterRule(Protocol):
    """A rule on characters: arrays of their classes (`unicode_tables`) to where units start."""

    name: str

    def starts(self, classes: np.ndarray) -> np.ndarray: ...
    def machine(self) -> Machine: ...
    def digit_roles(self) -> Roles: ...


@runtime_checkable
class ByteRule(Protocol):
    """A rule on bytes: after which of them units end."""

    name: str

    def ends(self, data: np.ndarray) -> np.ndarray: ...
    def machine(self) -> Machine: ...
    def digit_roles(self) -> Roles: ...


class StartSplitter:
    """A splitter whose units are closed by the atom that follows them.

    Args:
      name: of the rule.
      atoms: cuts bytes into atoms.
      starts: where the rule starts units, given the classes of the atoms.
      stream: makes a new stream.
      digits, roles, max_unit_bytes: see `cut_digits` and `limit_units`.
    """

    def __init__(
        self,
        name: str,
        atoms: Callable[[bytes], Atoms],
        starts: Callable[[np.ndarray], np.ndarray],
        stream: Callable[[], SplitterStream],
        digits: str,
        roles: Roles,
        max_unit_bytes: int,
    ) -> None:
        self.name, self.max_unit_bytes = name, max_unit_bytes
        self._atoms, self._starts, self._stream = atoms, starts, stream
        self._digits, self._roles = digits, roles

    def split(self, data: bytes) -> Segmentation:
        """The units of `data` (may be empty)."""
        n = len(data)
        if not n:
            return Segmentation(np.zeros(0, bool), np.zeros(0, np.int32))
        atoms = self._atoms(data)
        starts, settled = self._starts(atoms.classes), None
        if self._digits != "free":
            starts, settled = cut_digits(self._digits, atoms.classes, starts, self._roles)
        first = starts.nonzero()[0]
        unit_starts = first if atoms.offsets is None else atoms.offsets.take(first)
        limited = limit_units(unit_starts, n, self.max_unit_bytes, atoms.offsets)
        if limited is not unit_starts:
            unit_starts = limited
            first = limited if atoms.offsets is None else np.searchsorted(atoms.offsets, limited, "right") - 1
        return _segmentation(n, unit_starts, _known(atoms, first[1:], settled, n))

    def stream(self) -> SplitterStream:
        """The same rule, a byte at a time."""
        return self._stream()


def _known(atoms: Atoms, first: np.ndarray, settled: np.ndarray | None, n: int) -> np.ndarray:
    """The byte with which the starts of units at the atoms `first` are known; `n` if the text ends before."""
    if settled is not None:
        first = settled[first]
    if atoms.offsets is None:
        return first
    known = atoms.offsets[1:] - 1 if atoms.known is None else atoms.known
    return np.append(known, n)[first] if settled is not None else known.take(first)


def _segmentation(n: int, unit_starts: np.ndarray, known: np.ndarray) -> Segmentation:
    starts = np.zeros(n, bool)
    starts[unit_starts] = True
    return Segmentation(starts, _count(known, n))


def _count(events: np.ndarray, n: int) -> np.ndarray:
    """For each of `n` bytes, how many of `events` (ascending bytes, `n` for never) are at it or before it."""
    if not len(events):
        return np.zeros(n, np.int32)
    repeats = np.empty(len(events) + 1, np.int64)
    repeats[0], repeats[-1] = events[0], n - events[-1]
    np.subtract(events[1:], events[:-1], out=repeats[1:-1])
    return np.arange(len(repeats), dtype=np.int32).repeat(repeats)


class EndSplitter:
    """A splitter whose units are closed by their own last byte.

    Args:
      rule: on bytes.
      max_unit_bytes: of the longest unit.
    """

    def __init__(self, rule: ByteRule, max_unit_bytes: int) -> None:
        self.name, self.max_unit_bytes = rule.name, max_unit_bytes
        self._rule = rule

    def split(self, data: bytes) -> Segmentation:
        """The units of `data` (may be empty)."""
        n = len(data)
        if not n:
            return Segmentation(np.zeros(0, bool), np.zeros(0, np.int32))
        ends = self._rule.ends(np.frombuffer(data, np.uint8))
        starts = np.ones(n, bool)
        starts[1:] = ends[:-1]
        unit_starts = limit_units(starts.nonzero()[0], n, self.max_unit_bytes, None)
        starts[unit_starts] = True
        closed = _count(unit_starts[1:] - 1, n)
        if ends[-1] or n - unit_starts[-1] == self.max_unit_bytes:
            closed[-1] += 1
        return Segmentation(starts, closed)

    def stream(self) -> SplitterStream:
        """The same rule, a byte at a time."""
        return EndStream(self._rule.machine(), self.max_unit_bytes)


class EndStream:
    """`EndSplitter`, a byte at a time."""

    def __init__(self, machine: Machine, limit: int) -> None:
        self._machine, self._limit = machine, limit
        self._position = self._size = 0

    def push(self, byte: int) -> tuple[int, ...]:
        """Reads a byte; returns the end of the unit that it completes, if it does."""
        self._position += 1
        self._size += 1
        if not self._machine.step(byte) and self._size < self._limit:
            return ()
        self._size = 0
        return (self._position,)


class StartStream:
    """`StartSplitter`, a byte at a time."""

    def __init__(
        self,
        atoms: Callable[[int], list[tuple[int, int]]],
        step: Callable[[int], bool],
        digits: str,
        roles: Roles,
        limit: int,
    ) -> None:
        self._atoms, self._step = atoms, step
        self._digits = None if digits == "free" else DigitStream(digits, roles)
        self._limit = LimitStream(limit)

    def push(self, byte: int) -> tuple[int, ...]:
        """Reads a byte; returns the ends of the units that are now known to be complete."""
        ends: list[int] = []
        for character, length in self._atoms(byte):
            start = self._step(character)
            settled = [(length, start)]
            if self._digits is not None:
                settled = self._digits.push(character, length, start)
            for size, is_start in settled:
                ends += self._limit.push(size, is_start)
        return tuple(ends)


def character_splitter(rule: CharacterRule, digits: str, limit: int) -> StartSplitter:
    """A splitter from a rule on characters."""
    roles = rule.digit_roles()

    def stream() -> StartStream:
        return StartStream(CharacterStream().push, rule.machine().step, digits, roles, limit)

    return StartSplitter(rule.name, characters, rule.starts, stream, digits, roles, limit)


def byte_splitter(rule: ByteRule, digits: str, limit: int) -> EndSplitter | StartSplitter:
    """A splitter from a rule on bytes. With digits cut it has to see the byte after a unit."""
    if digits == "free":
        return EndSplitter(rule, limit)
    roles = rule.digit_roles()

    def starts(data: np.ndarray) -> np.ndarray:
        return np.append(True, rule.ends(data)[:-1])

    def stream() -> StartStream:
        return StartStream(lambda byte: [(byte, 1)], _StartMachine(rule.machine()).step, digits, roles, limit)

    return StartSplitter(
        rule.name, lambda data: Atoms(np.frombuffer(data, np.uint8)), starts, stream, digits, roles, limit
    )


class _StartMachine:
    """Turns "a unit ends with this byte" into "a unit starts before this byte"."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._ended = True

    def step(self, byte: int) -> bool:
        """Reads a byte; returns whether a unit starts before it."""
        start, self._ended = self._ended, self._machine.step(byte)
        return start
