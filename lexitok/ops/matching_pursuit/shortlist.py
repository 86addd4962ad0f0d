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
_TINY = 1e-12  # of what was chosen, more than this is outside the span


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
            at, found = _choose(part_TxMxD, left_TxD, norm_N[list_TxM], places, select)
            new = jnp.where(found[:, :, None], jnp.take_along_axis(part_TxMxD, at[:, :, None], axis=1), 0.0)
            new = _orthonormal(new, found, basis)
            left_TxD = remove_span(left_TxD[:, None], new)[:, 0]
            index = jnp.concatenate([index, jnp.where(found, jnp.take_along_axis(list_TxM, at, axis=1), 0)], axis=1)
            used, basis = jnp.concatenate([used, found], axis=1), jnp.concatenate([basis, new], axis=1)
        return index, used, basis

    return pursue


def places_of_rounds(k: int, rounds: int) -> list[int]:
    """How many of `k` places each round fills: as evenly as can be, the first ones more."""
    return [len(range(i, k, rounds)) for i in range(min(rounds, k))]


def _ridge_inverse(atoms_NxD: Array) -> Array:
    """`(A^T A / N + ridge)^-1`: times a residual and the atoms, ridge coefficients up to a factor."""
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


def _choose(part_TxMxD: Array, left_TxD: Array, norm_TxM: Array, places: int, select: str) -> tuple[Array, Array]:
    """Greedy choice on a list, without a product of width `D` in the loop.

    Args:
      part_TxMxD: the atoms' parts outside the span of those chosen in earlier rounds.

    Returns:
      Places on the list, and whether there was one that is worth it.
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
    return lax.fori_loop(0, places, step, state)[:2]


def _orthonormal(part_TxKxD: Array, found_TxK: Array, basis_TxKxD: Array) -> Array:
    """The chosen parts, orthonormalised in their order; 0 where nothing was found.

    By the factor of their Gram matrix, whose rounding a second factor mends (Cholesky QR 2: Yamamoto et al. 2015).
    """
    for _ in range(2):
        factor_TxKxK = _inverse_factor(einsum("TID,TJD->TIJ", part_TxKxD, part_TxKxD), found_TxK)
        part_TxKxD = remove_span(einsum("TIJ,TJD->TID", factor_TxKxK, part_TxKxD), basis_TxKxD)
    return part_TxKxD


def _inverse_factor(gram_TxKxK: Array, found_TxK: Array) -> Array:
    """The inverse of each Cholesky factor: Gram-Schmidt on the unit vectors, with the matrix for an inner product.

    All together, a row a step; XLA's own factorisation takes batches one by one on a CPU.
    """
    T, K, _ = gram_TxKxK.shape

    def step(at: Array, rows_TxKxK: Array) -> Array:
        along_TxK = einsum("TIJ,TJ->TI", rows_TxKxK, gram_TxKxK[:, at])
        size_T = jnp.sqrt(jnp.maximum(gram_TxKxK[:, at, at] - jnp.sum(along_TxK**2, axis=1), _TINY))
        row_TxK = (-einsum("TI,TIJ->TJ", along_TxK, rows_TxKxK)).at[:, at].add(1.0)
        return rows_TxKxK.at[:, at].set(jnp.where(found_TxK[:, at, None], row_TxK / size_T[:, None], 0.0))

    return lax.fori_loop(0, K, step, jnp.zeros((T, K, K), jnp.float32))
