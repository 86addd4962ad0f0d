"""How often every substring of a changing set of words is there.

A substring of up to `longest` bytes is a row of 64-bit numbers: its bytes, zeros, and in the last byte its length. So a
row is the substring itself, not a hash of it, and rows in order are substrings in the order of their bytes. Rows are
sorted by a hash, which is quicker than by themselves; two rows of one hash cost time, and nothing else.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64, UInt64

_MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)  # odd; of xxHash and splitmix64
MOST_BYTES = 63


@dataclasses.dataclass(frozen=True)
class SubstringCounts:
    """Substrings that are there, each once, by their hash and then by their bytes: a function of the words alone.

    Attributes:
      rows: the substrings; see above.
      hashes: of the rows.
      counts: how often each is there; never 0.
    """

    rows: UInt64[np.ndarray, "n k"]
    hashes: UInt64[np.ndarray, "n"]
    counts: Int64[np.ndarray, "n"]

    @property
    def lengths(self) -> Int64[np.ndarray, "n"]:
        """Bytes of each substring."""
        return (self.rows[:, -1] & np.uint64(0xFF)).astype(np.int64)

    def merged(self, other: "SubstringCounts") -> "SubstringCounts":
        """Both together; what then is there 0 times is left out."""
        pairs = zip((self.rows, self.hashes, self.counts), (other.rows, other.hashes, other.counts), strict=True)
        return _summed(*(np.concatenate(pair) for pair in pairs))

    def spelled(self, which: Int64[np.ndarray, "m"]) -> list[bytes]:
        """The bytes of some of the substrings."""
        flat, width = self.rows[which].astype(">u8").tobytes(), 8 * self.rows.shape[1]
        lengths = self.lengths[which].tolist()
        return [flat[at : at + length] for at, length in zip(range(0, len(flat), width), lengths, strict=True)]


def no_substrings(longest: int) -> SubstringCounts:
    """Counts of no words.

    Raises:
      ValueError: `longest` is not from 1 to `MOST_BYTES`.
    """
    if not 1 <= longest <= MOST_BYTES:
        raise ValueError(f"the longest substring has {longest} bytes; it may have 1 to {MOST_BYTES}")
    rows = np.zeros((0, _width(longest)), np.uint64)
    return SubstringCounts(rows, np.zeros(0, np.uint64), np.zeros(0, np.int64))


def count_substrings(
    words: Sequence[bytes], weights: Int64[np.ndarray, "words"], *, longest: int, stride: int = 1
) -> SubstringCounts:
    """The substrings of words, of whole characters each.

    Args:
      words: valid UTF-8.
      weights: how often each word counts; less than nothing takes it away when merged.
      longest: bytes of the longest substring.
      stride: substrings start at every so-manieth character of a word, from its first on.

    Raises:
      ValueError: `longest` is not from 1 to `MOST_BYTES`, or `stride` is below 1.
    """
    if stride < 1:
        raise ValueError(f"the stride is {stride}; it must be at least 1 character")
    nothing, parts = no_substrings(longest), []
    width = nothing.rows.shape[1]
    data = np.frombuffer(b"".join(words) + bytes(8 * width), np.uint8)
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    ends = np.cumsum(lengths)
    begins_character = data.view(np.int8) >= -64  # not 0x80 to 0xBF, the continuation bytes
    starts = _starts(begins_character, ends - lengths, lengths, stride)
    word = np.repeat(np.arange(len(words)), lengths)[starts]
    room = ends[word] - starts
    windows = np.lib.stride_tricks.sliding_window_view(data, 8 * width)[starts].view(">u8").astype(np.uint64)
    for length, mask in zip(range(1, longest + 1), _masks(longest), strict=True):
        fits = np.flatnonzero((room >= length) & begins_character[starts + length])
        rows = windows[fits] & mask
        rows[:, -1] |= np.uint64(length)
        parts.append(SubstringCounts(rows, _hash(rows), weights[word[fits]]))
    columns = ([getattr(part, name) for part in parts] for name in ("rows", "hashes", "counts"))
    return _summed(*map(np.concatenate, columns))


def _width(longest: int) -> int:
    return longest // 8 + 1  # a byte for the length


def _starts(begins_character: np.ndarray, first: np.ndarray, lengths: np.ndarray, stride: int) -> np.ndarray:
    """Where substrings may start: the offsets of every `stride`-th character of the words."""
    starts = np.flatnonzero(begins_character[: int(lengths.sum())])
    if stride == 1:
        return starts
    before = np.cumsum(begins_character) - 1  # characters before each that begins one
    return starts[(before[starts] - np.repeat(before[first], lengths)[starts]) % stride == 0]


def _masks(longest: int) -> UInt64[np.ndarray, "longest k"]:
    """For 1 to `longest`, ones over so many bytes of a row."""
    kept = np.arange(8 * _width(longest)) < np.arange(1, longest + 1)[:, None]
    return np.where(kept, 0xFF, 0).astype(np.uint8).view(">u8").astype(np.uint64)


def _hash(rows: UInt64[np.ndarray, "n k"]) -> UInt64[np.ndarray, "n"]:
    mixed = np.zeros(len(rows), np.uint64)
    for column in rows.T:
        mixed = (mixed ^ column) * _MULTIPLIERS[0]
        mixed = (mixed ^ (mixed >> np.uint64(29))) * _MULTIPLIERS[1]
    return mixed ^ (mixed >> np.uint64(32))


def _summed(
    rows: UInt64[np.ndarray, "n k"], hashes: UInt64[np.ndarray, "n"], counts: Int64[np.ndarray, "n"]
) -> SubstringCounts:
    """Equal rows as one, their counts added, in order; none whose count is 0."""
    order = np.argsort(hashes, kind="stable")
    same_hash = _same_as_before(hashes[order][:, None])
    same = _same_as_before(rows[order])
    if not np.array_equal(same, same_hash):  # other rows of the same hash lie between those that are equal
        order = np.lexsort((*rows.T[::-1], hashes))
        same = _same_as_before(rows[order])
    first = np.flatnonzero(~same)
    sums = np.add.reduceat(counts[order], first) if len(first) else counts
    kept = sums != 0
    chosen = order[first[kept]]
    return SubstringCounts(rows[chosen], hashes[chosen], sums[kept])


def _same_as_before(rows: np.ndarray) -> np.ndarray:
    """For each row, whether the one before is equal."""
    same = np.zeros(len(rows), bool)
    np.equal(rows[1:], rows[:-1]).all(axis=1, out=same[1:])
    return same
