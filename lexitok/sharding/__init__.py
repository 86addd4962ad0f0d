"""The mesh, and how parameters and the rows of batches are split over it."""

from lexitok.sharding.mesh import AXES, MeshError, current_mesh, make_mesh
from lexitok.sharding.parameters import SPLIT, parameter_spec, state_shardings
from lexitok.sharding.rows import (
    ROWS,
    check_rows,
    keep_rows_split,
    put_rows,
    put_share,
    put_whole,
    replicated,
    row_share,
    row_ways,
    whole,
)

__all__ = [
    "AXES",
    "ROWS",
    "SPLIT",
    "MeshError",
    "check_rows",
    "current_mesh",
    "keep_rows_split",
    "make_mesh",
    "parameter_spec",
    "put_rows",
    "put_share",
    "put_whole",
    "replicated",
    "row_share",
    "row_ways",
    "state_shardings",
    "whole",
]
