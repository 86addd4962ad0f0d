"""Positions of rows, some at a time."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from lexitok.ops.read_out.query import Query


def of_positions(query: Query) -> tuple[Query, Any]:
    """What of a query belongs to positions, and the groups of symbols."""
    return dataclasses.replace(query, group_of_V=None), query.group_of_V


def cut(tree: Any, chunk: int) -> Any:
    """`[B, S, ...]` to `[chunks, B, chunk, ...]`; the last chunk is filled with zeros. Along `S`, so rows stay put."""

    def one(x: Array) -> Array:
        B, S = x.shape[:2]
        size = min(chunk, S)
        chunks = -(-S // size)
        padded = jnp.pad(x, [(0, 0), (0, chunks * size - S)] + [(0, 0)] * (x.ndim - 2))
        return jnp.moveaxis(padded.reshape(B, chunks, size, *x.shape[2:]), 1, 0)

    return jax.tree.map(one, tree)


def joined(tree: Any, S: int) -> Any:
    """What `cut` took apart, without what filled the last chunk."""
    return jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1).reshape(x.shape[1], -1, *x.shape[3:])[:, :S], tree)
