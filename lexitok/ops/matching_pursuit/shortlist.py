"""The pursuit in a few rounds, each among a short list of atoms of every target. Not exact.

One product with all atoms a round, in place of one a place, makes the list: the atoms of the largest coefficients in
the ridge regression of the residual on all atoms. To list those of the largest products instead, as a greedy step
would, is far worse where atoms share a few strong directions, as rows of embeddings do: the first few choices explain
those directions, and the list was made of little else.

Within a round the choice is greedy and exact: a Cholesky factorisation of the list's Gram matrix, pivoted by the scores
(Rubinstein, Zibulevsky & Elad 2008, section 3, has the one for `cosine`).

The product with all atoms takes many targets at once; what is made of lists of rows takes a few, since a processor is
far quicker with what its caches hold.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax

from lexitok.ops.matching_pursuit.largest import largest_products
from lexitok.ops.matching_pursuit.pursuit import einsum, remove_span, scores

_RIDGE = 0.3  # over the mean eigenvalue of the atoms' second moments; from 0 to 0.3 residuals are the same within 1 %
_TINY = 1e-12  # of what was chosen, more than this is outside the span
_BLOCK = 8  # targets whose lists of rows a processor has in its caches


def make_pursuit(
    atoms_NxD: Array, norm_N: Array, k: int, select: str, *, shortlist: int, rounds: int
) -> Callable[[Array], tuple[Array, Array, Array]]:
    """As `reference.make_pursuit`, from `shortlist` atoms in each of `rounds` rounds."""
    inverse_DxD = _ridge_inverse(atoms_NxD)
    listed_NxD = atoms_NxD * norm_N[:, None] if select == "product" else atoms_NxD
    count = min(shortlist, len(norm_N))

    def pursue(target_TxD: Array) -> tuple[Array, Array, Array]:
        T, D = target_TxD.shape
        index, used = jnp.zeros((T, 0), jnp.int32), jnp.zeros((T, 0), bool)
        basis, left_TxD = jnp.zeros((T, 0, D), jnp.float32), target_TxD
        for places in places_of_rounds(k, rounds):
            list_TxM = _listed(left_TxD, inverse_DxD, listed_NxD, index, used, count)
            fill = functools.partial(_fill, atoms_NxD=atoms_NxD, norm_N=norm_N, places=places, select=select)
            chosen, found, new, left_TxD = _in_blocks(fill, list_TxM, left_TxD, basis)
            index, used = jnp.concatenate([index, chosen], axis=1), jnp.concatenate([used, found], axis=1)
            basis = jnp.concatenate([basis, new], axis=1)
        return index, used, basis

    return pursue


def places_of_rounds(k: int, rounds: int) -> list[int]:
    """How many of `k` places each round fills: as evenly as can be, the first ones more."""
    return [len(range(i, k, rounds)) for i in range(min(rounds, k))]


def _in_blocks(fill: Callable[..., tuple[Array, ...]], *of_targets: Array) -> tuple[Array, ...]:
    """`fill` of arrays by targets: on a CPU `_BLOCK` of them at a time, on other devices all together."""
    T = len(of_targets[0])
    size = min(_BLOCK, T)
    count = -(-T // size)

    def blocks(x: Array) -> Array:
        return jnp.pad(x, ((0, count * size - T), *((0, 0),) * (x.ndim - 1))).reshape(count, size, *x.shape[1:])

    def one_by_one(*of_targets: Array) -> tuple[Array, ...]:
        found = lax.map(lambda block: fill(*block), tuple(map(blocks, of_targets)))
        return jax.tree.map(lambda x: x.reshape(count * size, *x.shape[2:])[:T], found)

    return lax.platform_dependent(*of_targets, cpu=one_by_one, default=fill)


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
    left_TxD: Array, inverse_DxD: Array, atoms_NxD: Array, index_TxK: Array, used_TxK: Array, count: int
) -> Array:
    """The `count` atoms of the largest ridge coefficients, or nearly so; those chosen already last."""
    ridge_TxD = einsum("TI,IJ->TJ", left_TxD, inverse_DxD)
    return largest_products(ridge_TxD, atoms_NxD, jnp.where(used_TxK, index_TxK, -1), count)


def _fill(
    list_TxM: Array,
    left_TxD: Array,
    basis_TxKxD: Array,
    *,
    atoms_NxD: Array,
    norm_N: Array,
    places: int,
    select: str,
) -> tuple[Array, Array, Array, Array]:
    """A round's places: the atoms, whether there was one, their orthonormal basis, and what is left of the targets."""
    row_TxMxD = atoms_NxD[list_TxM]
    at, found = _choose(row_TxMxD, left_TxD, basis_TxKxD, norm_N[list_TxM], places, select)
    new = jnp.where(found[:, :, None], jnp.take_along_axis(row_TxMxD, at[:, :, None], axis=1), 0.0)
    new = _orthonormal(remove_span(new, basis_TxKxD), found, basis_TxKxD)
    chosen = jnp.where(found, jnp.take_along_axis(list_TxM, at, axis=1), 0)
    return chosen, found, new, remove_span(left_TxD[:, None], new)[:, 0]


def _choose(
    row_TxMxD: Array, left_TxD: Array, basis_TxKxD: Array, norm_TxM: Array, places: int, select: str
) -> tuple[Array, Array]:
    """Greedy choice on a list, without a product of width `D` in the loop.

    Args:
      row_TxMxD: unit atoms of the list.
      left_TxD: what is left of the targets, outside the span of `basis_TxKxD`.

    Returns:
      Places on the list, and whether there was one that is worth it.
    """
    T = len(row_TxMxD)
    rows_T, before = jnp.arange(T), basis_TxKxD.shape[1]

    def step(place: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        at, found, along_TxKxM, product_TxM, outside_TxM = state
        wanted_TxM = scores(select, product_TxM, outside_TxM, norm_TxM)
        at_T = jnp.argmax(wanted_TxM, axis=1).astype(jnp.int32)
        found_T = jnp.max(wanted_TxM, axis=1) > 0
        gram_TxM = einsum("TMD,TD->TM", row_TxMxD, row_TxMxD[rows_T, at_T])
        known_TxM = einsum("TK,TKM->TM", along_TxKxM[rows_T, :, at_T], along_TxKxM)
        scale_T = jnp.where(found_T, lax.rsqrt(jnp.where(found_T, outside_TxM[rows_T, at_T], 1.0)), 0.0)
        new_TxM = (gram_TxM - known_TxM) * scale_T[:, None]
        product_TxM = product_TxM - new_TxM * (product_TxM[rows_T, at_T] * scale_T)[:, None]
        outside_TxM = (outside_TxM - new_TxM**2).at[rows_T, at_T].set(0.0)
        return (
            at.at[:, place].set(at_T),
            found.at[:, place].set(found_T),
            along_TxKxM.at[:, before + place].set(new_TxM),
            product_TxM,
            outside_TxM,
        )

    along_TxKxM = einsum("TKD,TMD->TKM", basis_TxKxD, row_TxMxD)
    state = (
        jnp.zeros((T, places), jnp.int32),
        jnp.zeros((T, places), bool),
        jnp.pad(along_TxKxM, ((0, 0), (0, places), (0, 0))),
        einsum("TMD,TD->TM", row_TxMxD, left_TxD),
        einsum("TMD,TMD->TM", row_TxMxD, row_TxMxD) - einsum("TKM,TKM->TM", along_TxKxM, along_TxKxM),
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
