"""How a tensor of a checkpoint lies in a parameter of ours: axes by name, reshaped, picked and transposed.

`Layout("(H N) D", "D H N")` says that rows of the file are heads and their widths, one after the other. `part` is an
axis of things fused into one tensor, of which a parameter is one: `Layout("(H part N) D", "D H N", part=1)`. Sizes of
axes are given when a layout is used.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from lexitok.hub.stored_tensors import HubError, StoredTensor

CHUNK = 2**20  # bytes of rows that are read at once: few enough for a processor's cache, and for any memory
Groups = tuple[tuple[str, ...], ...]
Range = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Axes of a tensor in its `file`, and of `ours`; `part` picks from the axis of that name."""

    file: str
    ours: str
    part: int = 0

    @functools.cached_property
    def file_groups(self) -> Groups:
        return _groups(self.file)

    @functools.cached_property
    def our_groups(self) -> Groups:
        return _groups(self.ours)

    def file_shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Shape of the tensor in its file."""
        return tuple(math.prod(sizes[axis] for axis in group) for group in self.file_groups)

    def our_shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Shape of the parameter, of one layer."""
        return tuple(math.prod(sizes[axis] for axis in group) for group in self.our_groups)

    def fill(
        self, out: np.ndarray, index: Sequence[slice], tensor: StoredTensor, sizes: Mapping[str, int], less: float = 0.0
    ) -> None:
        """Writes the part `index` of a parameter into `out`, reading `CHUNK` bytes at a time, and no rows but its own.

        Args:
          out: of the part's shape, contiguous; gets `tensor - less` in its own dtype.
          index: a slice for each of our axes, without steps. Axes that are made of several are read whole.
          tensor: in its file, of `file_shape`.
          sizes: of all axes.
          less: is subtracted.

        Raises:
          HubError: a value is not finite, or not in the dtype of `out`; names the tensor.
        """
        chosen = self._chosen(index, sizes)
        lead = self.file_groups[0]
        at = next((i for i, axis in enumerate(lead) if chosen[axis][1] - chosen[axis][0] > 1), len(lead) - 1)
        base, strides = 0, [math.prod(sizes[axis] for axis in lead[i + 1 :]) for i in range(len(lead))]
        for axis, stride in zip(lead[:at], strides, strict=False):
            base += chosen[axis][0] * stride
        start, stop = chosen[lead[at]]
        columns = math.prod(sizes[axis] for group in self.file_groups[1:] for axis in group)
        step = max(1, CHUNK // (4 * strides[at] * columns))
        atoms = [axis for group in self.our_groups for axis in group]
        target = out.reshape([chosen[axis][1] - chosen[axis][0] for axis in atoms])
        for low in range(start, stop, step):
            high = min(low + step, stop)
            rows = tensor.rows(base + low * strides[at], base + high * strides[at])
            piece = self._piece(rows, chosen | {lead[at]: (low, high)}, at, sizes, atoms)
            part = target[tuple(slice(low - start, high - start) if a == lead[at] else slice(None) for a in atoms)]
            _copy(piece, part, less)
            if not np.isfinite(part).all():
                raise HubError(_not_finite(tensor, rows, part))

    def _chosen(self, index: Sequence[slice], sizes: Mapping[str, int]) -> dict[str, Range]:
        chosen = {axis: (0, sizes[axis]) for group in self.file_groups for axis in group}
        if "part" in chosen:
            chosen["part"] = (self.part, self.part + 1)
        for group, size, at in zip(self.our_groups, self.our_shape(sizes), index, strict=True):
            start, stop, _ = at.indices(size)
            if len(group) == 1:
                chosen[group[0]] = (start, stop)
            elif (start, stop) != (0, size):
                raise ValueError(f"axis ({' '.join(group)}) of a parameter cannot be split: it is made of several")
        return chosen

    def _piece(
        self, rows: np.ndarray, chosen: Mapping[str, Range], at: int, sizes: Mapping[str, int], atoms: list[str]
    ) -> np.ndarray:
        """Rows of the file as our axes `atoms`; leading axes up to number `at` are cut to size already."""
        lead, rest = self.file_groups[0], [axis for group in self.file_groups[1:] for axis in group]
        axes, shape, cut = [*lead, *rest], [], []
        for i, axis in enumerate(axes):
            start, stop = chosen[axis]
            shape.append(stop - start if i <= at else sizes[axis])
            cut.append(slice(0, stop - start) if i <= at else slice(start, stop))
        piece = rows.reshape(shape)[tuple(cut)]
        order = [axes.index(axis) for axis in (*atoms, *(a for a in axes if a not in atoms))]
        return piece.transpose(order).reshape([chosen[axis][1] - chosen[axis][0] for axis in atoms])

    def restore(self, parameters: Sequence[Any], sizes: Mapping[str, int]) -> np.ndarray:
        """The tensor of the file, from the parameters (of one layer) that are its parts, in their order."""
        atoms = [axis for group in self.our_groups for axis in group]
        axes = [axis for group in self.file_groups for axis in group]
        whole = [np.asarray(p).reshape([sizes[axis] for axis in atoms]) for p in parameters]
        stacked, atoms = (np.stack(whole), ["part", *atoms]) if "part" in axes else (whole[0], atoms)
        return stacked.transpose([atoms.index(axis) for axis in axes]).reshape(self.file_shape(sizes))


def _groups(pattern: str) -> Groups:
    found = re.findall(r"\(([^)]*)\)|(\S+)", pattern)
    return tuple(tuple(group.split()) if group else (single,) for group, single in found)


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is found out by the caller
def _copy(piece: np.ndarray, out: np.ndarray, less: float) -> None:
    if less:
        piece = piece.astype(np.float32) - np.float32(less)
    if not piece.flags.c_contiguous:  # to convert and to transpose is quicker one after the other
        piece = piece.astype(out.dtype, order="K", copy=False)
    np.copyto(out, piece, casting="unsafe")


def _not_finite(tensor: StoredTensor, rows: np.ndarray, part: np.ndarray) -> str:
    if np.isfinite(rows).all():
        return f"{tensor.file}: tensor '{tensor.name}' has values that {part.dtype} cannot hold; use another dtype"
    return f"{tensor.file}: tensor '{tensor.name}' has values that are not finite: the checkpoint is broken"


def sizes_of(shape: Mapping[str, int]) -> dict[str, int]:
    """All sizes that layouts speak of, from `V D H K N F`: `pair` and `half` are the two and the half of `N`."""
    return {**shape, "part": 3, "pair": 2, "half": shape["N"] // 2}


FLOATS = {"float32": np.dtype(np.float32), "bfloat16": np.dtype(ml_dtypes.bfloat16), "float16": np.dtype(np.float16)}
