"""The pursuit as it is defined: every atom is considered for every place. Exact up to rounding."""

import functools
from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax

from lexitok.ops.matching_pursuit.pursuit import einsum, remove_span, scores


def make_pursuit(atoms_NxD: Array, norm_N: Array, k: int, select: str) -> Callable[[Array], tuple[Array, Array, Array]]:
    """What finds, for unit targets, atoms, which places are used, and the atoms' orthonormal basis in their order.

    Products with all atoms and what of them lies outside the span are brought up to date by the one new direction, so a
    step costs one product of `[T, D]` with all atoms, whichever way it selects.
    """

    def step(target_TxD: Array, place: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        index, used, basis, product_TxN, outside_TxN = state
        wanted_TxN = scores(select, product_TxN, outside_TxN, norm_N[None])
        at_T = jnp.argmax(wanted_TxN, axis=1).astype(jnp.int32)
        found_T = jnp.max(wanted_TxN, axis=1) > 0
        # Gram-Schmidt twice is enough (Giraud et al. 2005).
        part_TxD = remove_span(remove_span(atoms_NxD[at_T][:, None], basis), basis)[:, 0]
        norm_T = jnp.sqrt(jnp.sum(part_TxD**2, axis=1))
        new_TxD = jnp.where(found_T[:, None], part_TxD / jnp.maximum(norm_T, 1e-30)[:, None], 0.0)
        along_TxN = einsum("TD,ND->TN", new_TxD, atoms_NxD)
        product_TxN = product_TxN - along_TxN * einsum("TD,TD->T", new_TxD, target_TxD)[:, None]
        outside_TxN = (outside_TxN - along_TxN**2).at[jnp.arange(len(at_T)), at_T].set(0.0)
        index = index.at[:, place].set(jnp.where(found_T, at_T, 0))
        return index, used.at[:, place].set(found_T), basis.at[:, place].set(new_TxD), product_TxN, outside_TxN

    def pursue(target_TxD: Array) -> tuple[Array, Array, Array]:
        T, D = target_TxD.shape
        outside_N = jnp.sum(atoms_NxD**2, axis=1)
        state = (
            jnp.zeros((T, k), jnp.int32),
            jnp.zeros((T, k), bool),
            jnp.zeros((T, k, D), jnp.float32),
            einsum("TD,ND->TN", target_TxD, atoms_NxD),
            jnp.broadcast_to(outside_N, (T, len(outside_N))),
        )
        return lax.fori_loop(0, k, functools.partial(step, target_TxD), state)[:3]

    return pursue
