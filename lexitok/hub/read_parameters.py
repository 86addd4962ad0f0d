"""Parameters out of files of tensors, each device's share read by itself.

Memory: beside the parameters, one device's share of the largest of them is held on the host, and
`axis_layouts.CHUNK` bytes of rows. Nothing is read before every name and shape was found to be right.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, Sharding, SingleDeviceSharding

from lexitok.hub.axis_layouts import FLOATS
from lexitok.hub.places import FilePlace
from lexitok.hub.stored_tensors import HubError, StoredTensor, StoredTensors
from lexitok.parameter_names import map_with_name, names, to_dicts
from lexitok.sharding import state_shardings

NAMED = 5  # tensors that an error names
ALIGNMENT = 64  # bytes


def check_tensors(
    like: Any,
    places: Mapping[str, FilePlace],
    files: StoredTensors,
    sizes: Mapping[str, int],
    left_aside: Sequence[str],
    source: str,
) -> None:
    """Checks that the files hold what the model needs, in the right shapes, and nothing that would change it.

    Args:
      like: the model, as shapes.
      places: of its parameters, by their names.
      files: of the checkpoint.
      sizes: of all axes.
      left_aside: patterns of names that need not be read.
      source: what errors call the checkpoint.

    Raises:
      HubError: names the parameter and the tensor.
    """
    used, wrong = set(), []
    for parameter, leaf in names(to_dicts(like)).items():
        if parameter not in places:
            raise HubError(f"{source}: the family has no tensor for the parameter '{parameter}'")
        place = places[parameter]
        wanted = place.layout.file_shape(sizes)
        assert leaf.shape[place.stacked :] == place.layout.our_shape(sizes), parameter
        for name in tensor_names(place, sizes["L"]):
            used.add(name)
            found = files.tensors.get(name)
            if found is None:
                wrong.append(f"'{name}' is missing")
            elif found.shape != wanted:
                wrong.append(f"'{name}' in {found.file} has the shape {found.shape}, the model needs {wanted}")
            elif found.read is None:
                wrong.append(f"'{name}' in {found.file} is of kind {found.kind}, which are no floats that can be read")
            if len(wrong) > NAMED:
                break
    _refuse(source, "does not hold what its config describes", wrong)
    left = [name for name in files.tensors if name not in used and not any(re.search(p, name) for p in left_aside)]
    _refuse(source, "holds tensors that its config knows nothing of", [f"'{name}'" for name in sorted(left)])


def tensor_names(place: FilePlace, layers: int) -> list[str]:
    """The tensors of a parameter: one for each layer, or one."""
    return [place.name.format(i=i) for i in range(layers)] if place.stacked else [place.name]


def read_parameters(
    like: Any,
    places: Mapping[str, FilePlace],
    files: StoredTensors,
    sizes: Mapping[str, int],
    *,
    mesh: Mesh | None,
    dtype: str,
) -> Any:
    """The model with the parameters of the files.

    Args:
      like: the model, as shapes.
      places: of its parameters.
      files: that `check_tensors` has found to be right.
      sizes: of all axes.
      mesh: over which parameters are split as `lexitok.sharding` says; None: all on the default device.
      dtype: of matrices and tables; norms and biases are float32 always.
    """
    single = SingleDeviceSharding(jax.local_devices()[0])
    shardings = names(to_dicts(jax.tree.map(lambda _: single, like) if mesh is None else state_shardings(like, mesh)))

    def parameter(name: str, leaf: Any) -> jax.Array:
        place = places[name]
        vector = name.endswith((".scale", ".bias"))
        read = reader(place, files, leaf.shape, sizes, FLOATS["float32" if vector else dtype])
        out = _put(leaf.shape, shardings[name], read)
        files.release()
        return out

    return map_with_name(parameter, like)


def _put(shape: tuple[int, ...], sharding: Sharding, read: Callable[[Any], np.ndarray]) -> jax.Array:
    """An array of this process's shares, one after the other; what several devices have is read once."""
    parts: dict[Any, jax.Array] = {}
    out = []
    for device, index in sharding.addressable_devices_indices_map(shape).items():
        key = tuple((at.start, at.stop) for at in index or ())
        part = jax.device_put(parts[key] if key in parts else read(index), device)
        out.append(part.block_until_ready())  # the host's copy can go
        parts.setdefault(key, part)
    return jax.make_array_from_single_device_arrays(shape, sharding, out)


def reader(
    place: FilePlace, files: StoredTensors, shape: tuple[int, ...], sizes: Mapping[str, int], dtype: np.dtype
) -> Callable[[Any], np.ndarray]:
    """A function from a share of a parameter of the given shape, as slices, to its values."""
    tensors: list[StoredTensor] = [files.tensors[name] for name in tensor_names(place, sizes["L"])]

    def read(index: Any) -> np.ndarray:
        ranges = [slice(*at.indices(size)) for at, size in zip(index, shape, strict=True)]
        out = _aligned([at.stop - at.start for at in ranges], dtype)
        if not place.stacked:
            place.layout.fill(out, ranges, tensors[0], sizes, place.less)
            return out
        for row, layer in enumerate(range(ranges[0].start, ranges[0].stop)):
            place.layout.fill(out[row], ranges[1:], tensors[layer], sizes, place.less)
        return out

    return read


def _aligned(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """An empty array that begins where JAX on a CPU wants it: there it is taken as it is, and not copied."""
    size = math.prod(shape) * dtype.itemsize
    room = np.empty(size + ALIGNMENT, np.uint8)
    begin = -room.ctypes.data % ALIGNMENT
    return room[begin : begin + size].view(dtype).reshape(shape)


def _refuse(source: str, what: str, found: list[str]) -> None:
    if found:
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise HubError(f"{source} {what}: {'; '.join(found[:NAMED])}{more}")
