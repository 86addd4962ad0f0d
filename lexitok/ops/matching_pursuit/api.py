"""Sparse approximation of many targets by rows of one table: what transplants rows between vocabularies."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import AbstractMesh, Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Float

from lexitok.ops.matching_pursuit import reference
from lexitok.ops.matching_pursuit import shortlist as shortlisted
from lexitok.ops.matching_pursuit.pursuit import SELECT, Pursuit, least_squares, unit_rows
from lexitok.ops.matching_pursuit.shortlist import places_of_rounds
from lexitok.sharding.mesh import current_mesh
from lexitok.sharding.rows import ROWS, put_rows, put_whole, replicated

IMPLEMENTATIONS = {"reference": reference.make_pursuit, "shortlist": shortlisted.make_pursuit}


class MatchingPursuitError(ValueError):
    """Targets, atoms or settings that no pursuit can be made with."""


def matching_pursuit(
    targets_TxD: Float[Array, "T _"] | Float[np.ndarray, "T _"],  # that widths are equal is checked with a message
    atoms_NxD: Float[Array, "N _"] | Float[np.ndarray, "N _"],
    k: int,
    *,
    select: str = "gain",
    implementation: str | None = None,
    shortlist: int = 256,
    rounds: int = 4,
    batch: int = 256,
) -> Pursuit:
    """For each target at most `k` atoms, chosen one by one, and the least-squares combination of them.

    Atoms are chosen greedily, by

    - `gain`: what the residual loses if all coefficients are fitted anew (orthogonal least squares: Chen, Cowan & Grant
      1991). No single step can do better, and as a rule it leaves less than the others at the same `k`.
    - `cosine`: the angle to the residual: orthogonal matching pursuit on normalised atoms (Pati, Rezaiifar &
      Krishnaprasad 1993).
    - `product`: the product with the residual: the same on atoms as they are, which prefers long ones. It is what
      mergekit's transplants do (arXiv 2506.06607), and is here to compare with.

    All arithmetic is float32. A target's combination depends on no other target, so the batch size changes rounding
    only. An atom that is zero, or that has less than 1e-5 of its squared norm outside the span of those chosen
    (a duplicate, say), is not chosen; a target of which 2e-6 or less is left that an atom could explain, gets no
    further ones. Among atoms that are equally good the first is taken.

    `reference` considers every atom for every place. `shortlist` does so for nearly the best `shortlist` by a ridge
    regression, a list made anew in each of `rounds` rounds; where the list holds all atoms, the two agree. On 30,000
    rows of Gemma 3 270M, with `k` = 64 on a CPU, it takes a sixth of the processor's time and leaves 1.5 % more by
    `gain`, which is 1.2 % less than `reference` leaves by `cosine` (`LOG.md`); fewer rounds or shorter lists lose that.

    On a mesh that is set (`jax.set_mesh`) targets are split over `data` and `fsdp`, and every device has all atoms.

    Args:
      targets_TxD, atoms_NxD: rows of any floating-point type; concrete arrays, as this is not for use within `jit`.
      k: most atoms of a combination; beyond `min(N, D)` places stay unused.
      select: one of `SELECT`.
      implementation: one of `IMPLEMENTATIONS`; None: `reference`.
      shortlist: atoms on a list, at least those that are chosen in one round.
      rounds: lists a target; at most `k`.
      batch: targets at once on a device. `reference` holds `batch · (3 · N + k · D)` numbers, `shortlist` on a CPU
        `batch · (4096 + 16 · shortlist + 2 · k · D)`, and elsewhere `batch · (65536 + D · shortlist)` more.

    Raises:
      MatchingPursuitError: widths that differ, no atoms, rows with NaN or infinity (says which), a `k` or another
        number that is not positive, a list too short for a round, an unknown name.
    """
    name = "reference" if implementation is None else implementation
    _check_settings(k, select, name, shortlist, rounds, batch)
    if np.ndim(targets_TxD) != 2 or np.ndim(atoms_NxD) != 2 or targets_TxD.shape[1] != atoms_NxD.shape[1]:
        raise MatchingPursuitError(
            f"targets {targets_TxD.shape} and atoms {atoms_NxD.shape} differ in width: take both from one table"
        )
    if not len(atoms_NxD):
        raise MatchingPursuitError("there are no atoms to combine: do the two vocabularies share a token?")
    T, ways = len(targets_TxD), _ways(current_mesh())
    each = max(1, min(batch, -(-T // ways)))  # rows of a batch on a device
    targets, atoms = _put_rows(targets_TxD, -T % ways), _put_whole(atoms_NxD)
    for what, rows in (("target", targets), ("atom", atoms)):
        _check_finite(what, rows)
    options = {"shortlist": shortlist, "rounds": rounds} if name == "shortlist" else {}
    return _pursue(targets, atoms, T, k, select, name, each, tuple(options.items()))


def _ways(mesh: Mesh | AbstractMesh | None) -> int:
    """How many devices targets are split over."""
    return 1 if mesh is None or mesh.empty else mesh.shape["data"] * mesh.shape["fsdp"]


def _check_settings(k: int, select: str, name: str, shortlist: int, rounds: int, batch: int) -> None:
    for what, value, names in (("selection", select, SELECT), ("implementation", name, tuple(IMPLEMENTATIONS))):
        if value not in names:
            raise MatchingPursuitError(f"unknown {what} '{value}'; there are {', '.join(names)}")
    for what, number in (("k", k), ("shortlist", shortlist), ("rounds", rounds), ("batch", batch)):
        if number < 1:
            raise MatchingPursuitError(f"{what} is at least 1, got {number}")
    if name == "shortlist" and (most := max(places_of_rounds(k, rounds))) > shortlist:
        raise MatchingPursuitError(
            f"a round chooses {most} atoms (k={k}, rounds={rounds}) from a list of {shortlist}: "
            "make shortlist larger, or make more rounds"
        )


def _check_finite(what: str, rows: Array) -> None:
    bad = np.flatnonzero(~np.asarray(jax.device_get(_finite_rows(rows))))
    if len(bad):
        named = ", ".join(str(i) for i in bad[:5]) + (" and more" if len(bad) > 5 else "")
        raise MatchingPursuitError(f"{len(bad)} {what} rows have NaN or infinity: {named}; leave them out or mend them")


def _finite_rows(rows: Array) -> Array:
    return _finite(replicated())(rows)


@functools.cache
def _finite(out: Any) -> Callable[[Array], Array]:
    """The jitted function from rows to which of them are finite; one a mesh."""
    return jax.jit(lambda x: jnp.isfinite(x).all(axis=1), out_shardings=out)


def _put_rows(x: np.ndarray | Array, more: int) -> Array:
    """Rows on their devices; those of the host with `more` rows of 0, so that they can be split."""
    return x if isinstance(x, Array) else put_rows(np.pad(x, ((0, more), (0, 0))))


def _put_whole(x: np.ndarray | Array) -> Array:
    return x if isinstance(x, Array) else put_whole(x)


@functools.partial(jax.jit, static_argnums=(2, 3, 4, 5, 6, 7))
def _pursue(
    targets_TxD: Array,
    atoms_NxD: Array,
    count: int,
    k: int,
    select: str,
    name: str,
    batch: int,
    options: tuple[tuple[str, int], ...],
) -> Pursuit:
    """The first `count` targets, batch by batch, on a mesh each device by itself: nothing crosses devices."""
    mesh = jax.sharding.get_abstract_mesh()

    def of_device(targets: Array, atoms: Array) -> tuple[Array, Array, Array]:
        unit_NxD, norm_N = unit_rows(atoms.astype(jnp.float32))
        pursue = IMPLEMENTATIONS[name](unit_NxD, norm_N, k, select, **dict(options))

        def of_batch(target_TxD: Array) -> tuple[Array, Array, Array]:
            unit_TxD, size_T = unit_rows(target_TxD.astype(jnp.float32))
            index, used, basis = pursue(unit_TxD)
            coefficients, residual = least_squares(unit_TxD, unit_NxD, index, used, basis)
            # The norm of an atom that is used is not 0.
            scale = size_T[:, None] / jnp.where(used, norm_N[index], 1.0)
            return index, jnp.where(used, coefficients * scale, 0.0), residual

        found = lax.map(of_batch, targets.reshape(-1, batch, targets.shape[1]))
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), found)

    if not mesh.empty:
        of_device = jax.shard_map(of_device, in_specs=(ROWS, P()), out_specs=ROWS, check_vma=False)
    # Nothing is looked for in a row of 0.
    padded = jnp.pad(targets_TxD, ((0, -len(targets_TxD) % (batch * _ways(mesh))), (0, 0)))
    return jax.tree.map(lambda x: x[:count], Pursuit(*of_device(padded, atoms_NxD)))
