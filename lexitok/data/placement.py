"""Batches on the devices: rows are split over the mesh, what all rows share is whole on each device."""

from functools import partial

from jax.sharding import Mesh

from lexitok.data.batch import Batch, map_rows
from lexitok.sharding import put_rows, put_share, put_whole


def put_batch(batch: Batch) -> Batch:
    """A whole batch of numpy arrays on the mesh that is set, or on the default device.

    Raises:
      MeshError: the rows cannot be split over the mesh.
    """
    return map_rows(put_rows, batch, put_whole)


def put_batch_share(batch: Batch, mesh: Mesh) -> Batch:
    """As `put_batch`, from this process's share of the rows; what all rows share every process has whole."""
    return map_rows(partial(put_share, mesh=mesh), batch, put_whole)
