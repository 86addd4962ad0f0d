"""The reductions of a vocabulary in two parts, one behind the other, from those of each: one softmax over both."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from lexitok.ops.read_out.blocked import together
from lexitok.ops.read_out.query import Query, Reductions


class Part(NamedTuple):
    """The symbols of a part: from `start` to before `stop`; None: to the end."""

    start: int
    stop: int | None

    def has(self, ids: Array) -> Array:
        return (ids >= self.start) & (ids < self.stop) if self.stop is not None else ids >= self.start


def asked_of(part: Part, query: Query) -> Query:
    """What to ask of a part, in its own ids from 0 on, so that `behind` can answer the query.

    Targets become a column, since their nats are those of both parts, and the largest logit is asked for in any case.
    """
    wanted = [] if query.columns_BxSxC is None else [query.columns_BxSxC]
    wanted += [] if query.targets_BxS is None else [query.targets_BxS[..., None]]
    ids = jnp.concatenate(wanted, axis=-1) if wanted else None
    return dataclasses.replace(
        query,
        targets_BxS=None,
        columns_BxSxC=None if ids is None else jnp.where(part.has(ids), ids - part.start, 0),
        group_of_V=None if query.group_of_V is None else query.group_of_V[part.start : part.stop],
        top_k=max(1, query.top_k),
    )


def behind(first: Reductions, second: Reductions, query: Query, V: int) -> Reductions:
    """What is asked of both parts together.

    Where the second has no symbol that is used, it is what the first comes to, to the last bit.

    Args:
      first, second: what the parts answered to `asked_of`, `Part(0, V)` and `Part(V, None)`.
      query: what is asked.
      V: symbols of the first part.
    """
    found = together(_sums(first, query, Part(0, V)), _sums(second, query, Part(V, None)), query)
    target, log_z = found.get("target"), found["log_z"]
    return Reductions(
        nll_BxS=None if target is None else log_z - target,
        log_z_BxS=log_z,
        is_top_BxS=None if target is None else target >= found["largest"],
        top_BxSxk=found.get("top"),
        top_ids_BxSxk=found.get("top_ids"),
        columns_BxSxC=found.get("columns"),
        log_mass_BxSxG=found["mass"] - log_z[..., None] if "mass" in found else None,
    )


def _sums(answer: Reductions, query: Query, part: Part) -> dict[str, Array]:
    """What a part adds, as `blocked.together` takes it: 0 for a symbol that is of the other part."""
    log_z = answer.log_z_BxS
    out = {"log_z": log_z, "largest": answer.top_BxSxk[..., 0]}
    if query.targets_BxS is not None:
        out["target"] = jnp.where(part.has(query.targets_BxS), answer.columns_BxSxC[..., -1], 0.0)
    if query.columns_BxSxC is not None:
        ids = query.columns_BxSxC
        out["columns"] = jnp.where(part.has(ids), answer.columns_BxSxC[..., : ids.shape[-1]], 0.0)
    if query.top_k:
        out |= {"top": answer.top_BxSxk, "top_ids": answer.top_ids_BxSxk + part.start}
    if query.group_of_V is not None:  # a part none of whose symbols is used has no groups to speak of
        none = jnp.isneginf(log_z)[..., None]
        out["mass"] = jnp.where(none, -jnp.inf, answer.log_mass_BxSxG + log_z[..., None])
    return out
