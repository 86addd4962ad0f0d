"""Any part of a parameter is read from just the rows that hold it, and goes back where it came from."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.hub import axis_layouts
from lexitok.hub.axis_layouts import Layout, sizes_of
from lexitok.hub.stored_tensors import HubError, StoredTensor

SIZES = sizes_of({"V": 10, "D": 5, "H": 4, "K": 2, "N": 6, "F": 7, "L": 1})
LAYOUTS = (
    Layout("(H N) D", "D H N"),
    Layout("D (H N)", "H N D"),
    Layout("F D", "D F"),
    Layout("D", "D"),
    Layout("V D", "V D"),
    Layout("(K N)", "K N"),
    Layout("(H part N) D", "D H N", part=1),
    Layout("(part H N) D", "D H N", part=2),
    Layout("(H part N)", "H N", part=2),
    Layout("(H half pair) D", "D H (pair half)"),
    Layout("(K half pair)", "K (pair half)"),
)


def stored(values: np.ndarray, seen: list | None = None) -> StoredTensor:
    def read(start: int, stop: int) -> np.ndarray:
        assert 0 <= start < stop <= len(values)
        if seen is not None:
            seen.append((start, stop))
        return values[start:stop]

    return StoredTensor("t", values.shape, "F32", "file", read)


def whole(layout: Layout, values: np.ndarray, less: float = 0.0) -> np.ndarray:
    out = np.empty(layout.our_shape(SIZES), np.float32)
    layout.fill(out, [slice(None)] * out.ndim, stored(values), SIZES, less)
    return out


def values_of(layout: Layout) -> np.ndarray:
    shape = layout.file_shape(SIZES)
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_layouts_by_hand():
    """Rows of queries by numpy's own means: plain, fused in both ways, and with rotary pairs side by side."""
    D, H, N = SIZES["D"], SIZES["H"], SIZES["N"]
    w = values_of(LAYOUTS[0])
    np.testing.assert_array_equal(whole(LAYOUTS[0], w), w.reshape(H, N, D).transpose(2, 0, 1))
    fused = np.arange(H * 3 * N * D, dtype=np.float32).reshape(-1, D)
    np.testing.assert_array_equal(whole(LAYOUTS[6], fused), fused.reshape(H, 3, N, D)[:, 1].transpose(2, 0, 1))
    np.testing.assert_array_equal(whole(LAYOUTS[7], fused), fused.reshape(3, H, N, D)[2].transpose(2, 0, 1))
    paired = w.reshape(H, 2, N // 2, D).swapaxes(1, 2).reshape(w.shape)  # as llama.cpp's converter reorders rows
    np.testing.assert_array_equal(whole(LAYOUTS[9], paired), w.reshape(H, N, D).transpose(2, 0, 1))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@settings(max_examples=15)
@given(data=st.data())
def test_a_part_is_the_part_of_the_whole(layout, data):
    """What a device gets is its slice, however small the pieces are that are read at once."""
    values, shape = values_of(layout), layout.our_shape(SIZES)
    index = []
    for group, size in zip(layout.our_groups, shape, strict=True):
        start = data.draw(st.integers(0, size - 1)) if len(group) == 1 else 0
        index.append(slice(start, data.draw(st.integers(start + 1, size)) if len(group) == 1 else size))
    expected = whole(layout, values)[tuple(index)]
    out, seen, chunk = np.empty(expected.shape, np.float32), [], axis_layouts.CHUNK
    axis_layouts.CHUNK = data.draw(st.sampled_from([1, 100, 10**6]))
    try:
        layout.fill(out, index, stored(values, seen), SIZES)
    finally:
        axis_layouts.CHUNK = chunk
    np.testing.assert_array_equal(out, expected)
    first = layout.file_groups[0][0]
    if (first,) in layout.our_groups:  # a device with a part of the heads does not read the others' rows
        rows, at = values.shape[0] // SIZES[first], index[layout.our_groups.index((first,))]
        assert min(a for a, _ in seen) >= at.start * rows and max(b for _, b in seen) <= at.stop * rows


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_restoring_is_the_way_back(layout):
    """A tensor of the file is what its parts were read from."""
    values = values_of(layout)
    if "part" in layout.file:
        parts = [whole(Layout(layout.file, layout.ours, part), values) for part in range(3)]
    else:
        parts = [whole(layout, values)]
    np.testing.assert_array_equal(layout.restore(parts, SIZES), values)


def test_numbers_are_converted_exactly():
    """bfloat16 to float32 is exact, also of denormals; `less` is subtracted in float32."""
    values = np.array([1.5, -0.0, -3e38, 1e-40, 3e38], np.float32).astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(whole(LAYOUTS[3], values), values.astype(np.float32))
    np.testing.assert_array_equal(whole(LAYOUTS[3], np.full(5, 1.25, np.float32), less=1.0), np.full(5, 0.25))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_what_is_not_finite_is_named(value, dtype):
    """A model with one NaN gives NaN everywhere, and would be converted and evaluated without a word."""
    values = np.array([1.5, 2, value, 4, 5], np.float32).astype(dtype)
    with pytest.raises(HubError, match="file: tensor 't' has values that are not finite"):
        whole(LAYOUTS[3], values)


def test_what_a_dtype_cannot_hold_is_named():
    """float16 ends at 65504: infinities would come of what was finite."""
    out = np.empty(5, np.float16)
    with pytest.raises(HubError, match="tensor 't' has values that float16 cannot hold"):
        LAYOUTS[3].fill(out, [slice(None)], stored(np.full(5, 1e5, np.float32)), SIZES)


def test_an_axis_of_several_cannot_be_split():
    """Said at once, and not read wrongly."""
    out = np.empty((5, 4, 3), np.float32)
    with pytest.raises(ValueError, match="axis .pair half. of a parameter cannot be split"):
        LAYOUTS[9].fill(out, [slice(None), slice(None), slice(0, 3)], stored(values_of(LAYOUTS[9])), SIZES)
