"""What a pursuit finds, and what its implementations share.

They work on unit targets and unit atoms. Axes: `T` targets, `N` atoms, `M` atoms on a shortlist, `K` atoms of a
combination, `D` width.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int

SELECT = ("gain", "cosine", "product")
# Of a unit atom, the squared part outside the span of those chosen: below it, float32 cannot tell one from the other.
DEPENDENT = 1e-5
# Of a unit target, the part that a further atom would explain: below it, there is nothing left but rounding.
REACHED = 2e-6


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Pursuit:
    """A combination of at most `K` atoms for each target.

    A place that is not used has index 0 and coefficient 0; it may lie between places that are.

    Attributes:
      index_TxK: atoms, none twice, in the order in which they were chosen.
      coefficients_TxK: of the atoms as they were given, whatever their norm, float32: `coefficients @ rows[index]`
        with the rows of another table replays the combination there.
      residual_T: norm of what is left of the target over the norm of the target, float32; 0 where the target is 0.
    """

    index_TxK: Int[Array, "T K"]
    coefficients_TxK: Float[Array, "T K"]
    residual_T: Float[Array, " T"]


def einsum(spec: str, *operands: Array) -> Array:
    """`jnp.einsum` in whole float32, on accelerators too: a choice between near atoms hangs on the last digits."""
    return jnp.einsum(spec, *operands, precision=lax.Precision.HIGHEST)


def unit_rows(x_NxD: Array) -> tuple[Array, Array]:
    """Rows of norm 1 (or 0), and their norms; no square over- or underflows on the way."""
    peak_Nx1 = jnp.max(jnp.abs(x_NxD), axis=1, keepdims=True)
    scaled = x_NxD / jnp.where(peak_Nx1 > 0, peak_Nx1, 1.0)
    norm_Nx1 = jnp.sqrt(jnp.sum(scaled**2, axis=1, keepdims=True))
    return scaled / jnp.where(norm_Nx1 > 0, norm_Nx1, 1.0), (norm_Nx1 * peak_Nx1)[:, 0]


def scores(select: str, product_TxM: Array, outside_TxM: Array, norm_TxM: Array) -> Array:
    """How much each atom is wanted, and -1 for one that depends on those chosen or explains nothing more.

    Args:
      select: one of `SELECT`.
      product_TxM: of the residuals with unit atoms.
      outside_TxM: squared norms of the parts of unit atoms outside the span of those chosen.
      norm_TxM: of the atoms.
    """
    size = jnp.abs(product_TxM)
    gain = size / jnp.sqrt(jnp.maximum(outside_TxM, DEPENDENT))
    wanted = {"gain": gain, "cosine": size, "product": size * norm_TxM}[select]
    return jnp.where((outside_TxM > DEPENDENT) & (gain > REACHED), wanted, -1.0)


def remove_span(x_TxMxD: Array, basis_TxKxD: Array) -> Array:
    """The parts of vectors that are orthogonal to a basis, whose rows are orthonormal or 0."""
    return x_TxMxD - einsum("TMK,TKD->TMD", einsum("TMD,TKD->TMK", x_TxMxD, basis_TxKxD), basis_TxKxD)


def least_squares(
    target_TxD: Array, atoms_NxD: Array, index_TxK: Array, used_TxK: Array, basis_TxKxD: Array
) -> tuple[Array, Array]:
    """Coefficients of the chosen unit atoms, and the norms of what is left of the targets.

    Args:
      basis_TxKxD: what the atoms become when they are orthonormalised in their order; 0 where a place is not used.
    """
    chosen_TxKxD = jnp.where(used_TxK[:, :, None], atoms_NxD[index_TxK], 0.0)
    # Made from the atoms themselves, and once more from what the first solution leaves: the basis need not be perfect.
    upper_TxKxK = jnp.triu(einsum("TID,TJD->TIJ", basis_TxKxD, chosen_TxKxD))
    upper_TxKxK = jnp.where(used_TxK[:, :, None], upper_TxKxK, jnp.eye(used_TxK.shape[1], dtype=jnp.float32)[None])

    def solve(left_TxD: Array) -> Array:
        return _back_substitute(upper_TxKxK, einsum("TKD,TD->TK", basis_TxKxD, left_TxD))

    def left(coefficients_TxK: Array) -> Array:
        return target_TxD - einsum("TK,TKD->TD", coefficients_TxK, chosen_TxKxD)

    first_TxK = solve(target_TxD)
    coefficients_TxK = first_TxK + solve(left(first_TxK))
    left_TxD = left(coefficients_TxK)
    return coefficients_TxK, jnp.sqrt(jnp.sum(left_TxD**2, axis=1))


def _back_substitute(upper_TxKxK: Array, right_TxK: Array) -> Array:
    """Solutions of triangular systems, all together; XLA's own solve takes batches one by one on a CPU."""
    K = right_TxK.shape[1]

    def step(done: Array, solution_TxK: Array) -> Array:
        at = K - 1 - done
        row_TxK = upper_TxKxK[:, at]
        rest_T = right_TxK[:, at] - einsum("TK,TK->T", row_TxK, solution_TxK)
        return solution_TxK.at[:, at].set(rest_T / row_TxK[:, at])

    return lax.fori_loop(0, K, step, jnp.zeros_like(right_TxK))
