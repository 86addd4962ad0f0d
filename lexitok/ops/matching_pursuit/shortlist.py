"""The pursuit in a few rounds, each among a short list of atoms of every target. Not exact.

One product with all atoms a round, in place of one a place, makes the list: the atoms of the largest coefficients in
the ridge regression of the residual on all atoms. To list those of the largest products instead, as a greedy step
would, is far worse where atoms share a few strong directions, as rows of embeddings do: the first few choices explain
those directions, and the list was made of little else.

Within a round the choice is greedy and exact: a Cholesky factorisation of the list's Gram matrix, pivoted by the scores
(Rubinstein, Zibulevsky & Elad 2008, section 3, has the one for `cosine`).
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax

from lexitok.ops.matching_pursuit.pursuit import einsum, remove_span, scores

_RIDGE = 0.3  # over the mean eigenvalue of the atoms' second moments; from 0 to 0.3 residuals are the same within 1 %


def make_pursuit(
    atoms_NxD: Array, norm_N: Array, k: int, select: str, *, shortlist: int, rounds: int
) -> Callable[[Array], tuple[Array, Array, Array]]:
    """As `reference.make_pursuit`, from `shortlist` atoms in each of `rounds` rounds."""
    weight_N = norm_N if select == "product" else jnp.ones_like(norm_N)
    inverse_DxD = _ridge_inverse(atoms_NxD)

    def pursue(target_TxD: Array) -> tuple[Array, Array, Array]:
        T, D = target_TxD.shape
        index, used = jnp.zeros((T, 0), jnp.int32), jnp.zeros((T, 0), bool)
        basis, left_TxD = jnp.zeros((T, 0, D), jnp.float32), target_TxD
        for places in places_of_rounds(k, rounds):
            list_TxM = _listed(left_TxD, inverse_DxD, atoms_NxD, weight_N, index, used, min(shortlist, len(norm_N)))
            part_TxMxD = remove_span(atoms_NxD[list_TxM], basis)
            at, found, lower = _choose(part_TxMxD, left_TxD, norm_N[list_TxM], places, select)
            new = jnp.take_along_axis(part_TxMxD, at[:, :, None], axis=1) * found[:, :, None]
            new = _orthonormal(new, lower, found, basis)
            left_TxD = remove_span(left_TxD[:, None], new)[:, 0]
            index = jnp.concatenate([index, jnp.where(found, jnp.take_along_axis(list_TxM, at, axis=1), 0)], axis=1)
            used, basis = jnp.concatenate([used, found], axis=1), jnp.concatenate([basis, new], axis=1)
        return index, used, basis

    return pursue


def places_of_rounds(k: int, rounds: int) -> list[int]:
    """How many of `k` places each round fills: as evenly as can be, the first ones more."""
    return [len(range(i, k, rounds)) for i in range(min(rounds, k))]


def _ridge_inverse(atoms_NxD: Array) -> Array:
    """`(A^T A / N + ridge)^-1`: its product with a residual and the atoms is the ridge coefficients (times a number)."""
    moments_DxD = einsum("NI,NJ->IJ", atoms_NxD, atoms_NxD) / len(atoms_NxD)
    D = len(moments_DxD)
    # No atom but zero ones: any ridge will do.
    ridge = jnp.maximum(_RIDGE * jnp.trace(moments_DxD) / D, 1e-12)
    eye_DxD = jnp.eye(D, dtype=jnp.float32)
    factor = lax.linalg.cholesky(moments_DxD + ridge * eye_DxD)
    half_DxD = lax.linalg.triangular_solve(factor, eye_DxD, left_side=True, lower=True)
    return einsum("KI,KJ->IJ", half_DxD, half_DxD)


def _listed(
    left_TxD: Array, inverse_DxD: Array, atoms_NxD: Array, weight_N: Array, index: Array, used: Array, count: int
) -> Array:
    """The `count` atoms of the largest ridge coefficients, those chosen already last."""
    ridge_TxN = jnp.abs(einsum("TD,ND->TN", einsum("TI,IJ->TJ", left_TxD, inverse_DxD), atoms_NxD)) * weight_N[None]
    rows_Tx1 = jnp.arange(len(left_TxD))[:, None]
    return lax.top_k(ridge_TxN.at[rows_Tx1, index].min(jnp.where(used, -1.0, jnp.inf)), count)[1]


def _choose(
    part_TxMxD: Array, left_TxD: Array, norm_TxM: Array, places: int, select: str
) -> tuple[Array, Array, Array]:
    """Greedy choice on a list, without a product of width `D` in the loop.

    Args:
      part_TxMxD: the atoms' parts outside the span of those chosen in earlier rounds.

    Returns:
      Places on the list, whether a place was found, and the Cholesky factor of the chosen parts' Gram matrix.
    """
    T, M, _ = part_TxMxD.shape
    rows_T = jnp.arange(T)
    gram_TxMxM = einsum("TMD,TLD->TML", part_TxMxD, part_TxMxD)

    def step(place: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        at, found, along_TxKxM, product_TxM, outside_TxM = state
        wanted_TxM = scores(select, product_TxM, outside_TxM, norm_TxM)
        at_T = jnp.argmax(wanted_TxM, axis=1).astype(jnp.int32)
        found_T = jnp.max(wanted_TxM, axis=1) > 0
        known_TxM = einsum("TK,TKM->TM", along_TxKxM[rows_T, :, at_T], along_TxKxM)
        scale_T = jnp.where(found_T, lax.rsqrt(jnp.where(found_T, outside_TxM[rows_T, at_T], 1.0)), 0.0)
        new_TxM = (gram_TxMxM[rows_T, at_T] - known_TxM) * scale_T[:, None]
        product_TxM = product_TxM - new_TxM * (product_TxM[rows_T, at_T] * scale_T)[:, None]
        outside_TxM = (outside_TxM - new_TxM**2).at[rows_T, at_T].set(0.0)
        return (
            at.at[:, place].set(at_T),
            found.at[:, place].set(found_T),
            along_TxKxM.at[:, place].set(new_TxM),
            product_TxM,
            outside_TxM,
        )

    state = (
        jnp.zeros((T, places), jnp.int32),
        jnp.zeros((T, places), bool),
        jnp.zeros((T, places, M), jnp.float32),
        einsum("TMD,TD->TM", part_TxMxD, left_TxD),
        jnp.diagonal(gram_TxMxM, axis1=1, axis2=2),
    )
    at, found, along_TxKxM, _, _ = lax.fori_loop(0, places, step, state)
    lower_TxKxK = jnp.swapaxes(jnp.take_along_axis(along_TxKxM, at[:, None, :], axis=2), 1, 2)
    return at, found, lower_TxKxK


def _orthonormal(part_TxKxD: Array, lower_TxKxK: Array, found_TxK: Array, basis_TxKxD: Array) -> Array:
    """The chosen parts, orthonormalised in their order; 0 where nothing was found.

    The factor comes from products in float32; a second factorisation, of what it leaves, mends that (Cholesky QR 2:
    Yamamoto et al. 2015).
    """
    missing_TxKxK = jnp.eye(found_TxK.shape[1], dtype=jnp.float32)[None] * ~found_TxK[:, :, None]

    def divide(lower: Array, x: Array) -> Array:
        return lax.linalg.triangular_solve(lower, x, left_side=True, lower=True)

    lower_TxKxK = jnp.tril(jnp.where(found_TxK[:, :, None], lower_TxKxK, 0.0)) + missing_TxKxK
    once_TxKxD = remove_span(divide(lower_TxKxK, part_TxKxD), basis_TxKxD)
    again_TxKxK = lax.linalg.cholesky(einsum("TID,TJD->TIJ", once_TxKxD, once_TxKxD) + missing_TxKxK)
    return divide(again_TxKxK, once_TxKxD)
