"""The longest token of a vocabulary that ends at a byte: a trie over reversed tokens, as one array.

The trie is a double array (Aoe 1989, IEEE Transactions on Software Engineering 15(9)): a node is the index of a cell,
and the child of a node by a byte is the cell `base + byte`, if that names the node as its parent. So a step is one
look-up of three numbers, wherever the search stands, and many positions can take it at once.
"""

import dataclasses
import functools

import numpy as np
from jaxtyping import Int32, Int64

ROOT = 0
_WINDOW = 1024  # cells that are tried at once


@dataclasses.dataclass(frozen=True, eq=False)
class SuffixTrie:
    """The trie.

    Attributes:
      cells: of each: `base`; the parent, -1 where the cell is free; and the longest token that the path from the root
        ends with, -1 for none. Any `base + byte` is the index of a cell.
      longest: bytes of the longest token.
    """

    cells: Int32[np.ndarray, "cells 3"]
    longest: int

    def find(self, data: bytes, end: int) -> int:
        """The id of the longest token that `data[:end]` ends with; -1 if there is none."""
        node = ROOT
        base, _, token = self.cells[node].tolist()
        for byte in data[end - 1 :: -1] if end else b"":
            below = base + byte
            base, parent, longer = self.cells[below].tolist()
            if parent != node:
                break
            node, token = below, longer
        return token


@functools.lru_cache(maxsize=4)
def suffix_trie(tokens: tuple[bytes, ...]) -> SuffixTrie:
    """The trie of a vocabulary.

    Args:
      tokens: by id. Empty ones (specials) are never found. Of ids with the same bytes the last is found, which in
        SentencePiece is the piece and not the byte of the same value.

    Raises:
      ValueError: no token has any bytes.
    """
    longest = max(map(len, tokens), default=0)
    if not longest:
        raise ValueError(f"none of the {len(tokens)} tokens has any bytes: there is nothing to look for")
    nodes = _nodes(tokens, longest)
    base = _place(nodes)
    cell = np.append(ROOT, base[nodes.parent[1:]] + nodes.byte[1:])
    cells = np.full((int(base.max()) + 256, 3), -1, np.int32)
    cells[:, 0] = 0
    cells[cell, 0], cells[cell, 2] = base, nodes.token
    cells[cell[1:], 1] = cell[nodes.parent[1:]]
    cells.setflags(write=False)
    return SuffixTrie(cells, longest)


@dataclasses.dataclass(frozen=True)
class _Nodes:
    """Nodes by depth, those of one parent in a row and by byte; the first is the root."""

    parent: Int64[np.ndarray, "nodes"]
    byte: Int64[np.ndarray, "nodes"]
    token: Int64[np.ndarray, "nodes"]


def _nodes(tokens: tuple[bytes, ...], longest: int) -> _Nodes:
    lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
    data, ends = np.frombuffer(b"".join(tokens), np.uint8), np.cumsum(lengths)
    parents, bytes_, found = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)], [np.full(1, -1)]
    node, first = np.zeros(len(tokens), np.int64), 0  # of each token, and the first of the depth
    for depth in range(longest):
        alive = np.flatnonzero(lengths > depth)
        keys, which = np.unique(node[alive] * 256 + data[ends[alive] - 1 - depth], return_inverse=True)
        own = np.full(len(keys), -1)
        done = lengths[alive] == depth + 1
        np.maximum.at(own, which[done], alive[done])
        parent = keys >> 8
        found.append(np.where(own < 0, found[-1][parent - first], own))
        parents.append(parent)
        bytes_.append(keys & 255)
        first += len(found[-2])
        node[alive] = first + which
    return _Nodes(np.concatenate(parents), np.concatenate(bytes_), np.concatenate(found))


def _place(nodes: _Nodes) -> Int64[np.ndarray, "nodes"]:
    """The base of each node, nodes of most children first; of as many, each behind the one before.

    So cells are left free between them, and the single children, which fit anywhere and are the most, fill these.
    """
    n = len(nodes.parent)
    counts = np.bincount(nodes.parent[1:], minlength=n)
    first_child = np.cumsum(counts) - counts + 1
    base = np.zeros(n, np.int64)
    free = np.ones(2 * n + 2 * _WINDOW, bool)
    free[:256] = False  # so that no base is negative; the root is there as well
    several = np.flatnonzero(counts > 1)
    at = size = 0
    end = 256  # of what is taken
    for node in several[np.argsort(-counts[several], kind="stable")].tolist():
        if counts[node] != size:
            size, at = counts[node], int(free.argmax())
        if len(free) < end + 2 * _WINDOW:
            free = np.append(free, np.ones(len(free), bool))
        children = nodes.byte[first_child[node] : first_child[node] + size]
        at = _next_fit(free, at, (children - children[0]).tolist())
        base[node] = at - children[0]
        free[base[node] + children] = False
        end = max(end, int(base[node] + children[-1]) + 1)
    single = np.flatnonzero(counts == 1)
    base[single] = np.flatnonzero(free)[: len(single)] - nodes.byte[first_child[single]]
    return base


def _next_fit(free: np.ndarray, start: int, offsets: list[int]) -> int:
    """The first index from `start` on from which all `offsets` are free; `free` has to be long enough to have one."""
    while True:
        fits = free[start : start + _WINDOW].copy()
        for offset in offsets[1:]:
            fits &= free[start + offset : start + offset + _WINDOW]
        at = int(fits.argmax())
        if fits[at]:
            return start + at
        start += _WINDOW
