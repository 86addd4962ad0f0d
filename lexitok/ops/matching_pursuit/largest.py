"""Which atoms have the largest products with each of many rows, without the products ever being written to memory."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax

from lexitok.ops.matching_pursuit.pursuit import einsum

_CANDIDATES = 8  # over the length of a list, at least so many atoms are compared to make it
_CPU_PART, _ACCELERATOR_PART = 4096, 65_536  # atoms whose products are made at once


def largest_products(x_TxD: Array, atoms_NxD: Array, last_TxK: Array, count: int) -> Array:
    """The `count` atoms of the largest absolute products with each row, or nearly so.

    Where there are many more atoms, each bucket of them is represented by its largest product, and those are compared.
    With `_CANDIDATES` buckets for each place of the list, about one in 16 that belong on it is hidden by another, and
    one that does not is there instead. Atoms are taken a part at a time, so that a CPU has their products in its caches
    and does not write them all to memory to read them again.

    Args:
      last_TxK: atoms that stand behind all others; -1 is none.

    Returns:
      Places of atoms, `T x count`, none twice in a row.
    """
    bits = max(0, (len(atoms_NxD) // (_CANDIDATES * count)).bit_length() - 1)
    if bits == 0:
        size_TxN = jnp.abs(einsum("TD,ND->TN", x_TxD, atoms_NxD))
        at_TxK = jnp.where(last_TxK < 0, len(atoms_NxD), last_TxK)
        return lax.top_k(_behind(size_TxN, at_TxK), count)[1]

    def of_parts(most: int) -> Callable[[Array, Array, Array], Array]:
        parts = _Parts.of_at_most(most, len(atoms_NxD), bits)
        return lambda x_TxD, atoms_NxD, last_TxK: parts.largest(x_TxD, atoms_NxD, last_TxK, count)

    return lax.platform_dependent(
        x_TxD, atoms_NxD, last_TxK, cpu=of_parts(_CPU_PART), default=of_parts(_ACCELERATOR_PART)
    )


def _behind(size_TxN: Array, at_TxK: Array) -> Array:
    """With -1 at these places, which is behind all; places that there are not are left out."""
    rows_Tx1 = jnp.arange(len(size_TxN))[:, None]
    return size_TxN.at[rows_Tx1, at_TxK].set(jnp.array(-1, size_TxN.dtype), mode="drop")


@dataclasses.dataclass(frozen=True)
class _Parts:
    """Atoms in parts of one size, and each part in buckets of atoms that are equally far apart in it.

    Axes: `P` parts, `B` buckets of a part, `I` atoms of a bucket, `M` places of a list.

    Attributes:
      total: atoms. The last part ends with them, and so may begin within the one before it.
      count, size: parts, and atoms of each, a multiple of a bucket's.
      bits: of a place in a bucket, which has `2**bits` atoms.
    """

    total: int
    count: int
    size: int
    bits: int

    @classmethod
    def of_at_most(cls, most: int, total: int, bits: int) -> "_Parts":
        """Parts of `most` atoms or little more, two at least."""
        each = 2**bits
        size = -(-total // (max(2, -(-total // most)) * each)) * each
        return cls(total, -(-total // size), size, bits)

    def largest(self, x_TxD: Array, atoms_NxD: Array, last_TxK: Array, count: int) -> Array:
        """As `largest_products`. An atom that is to be last may still hide others in its bucket."""
        peak_PxTxB = lax.map(lambda part: self._peaks(part, x_TxD, atoms_NxD), jnp.arange(self.count))
        peak_TxB = peak_PxTxB.swapaxes(0, 1).reshape(len(x_TxD), -1)
        bucket_TxK, place_TxK = self._bucket(last_TxK)
        hides_TxK = (last_TxK >= 0) & (self._place(jnp.take_along_axis(peak_TxB, bucket_TxK, axis=1)) == place_TxK)
        peak_TxB = _behind(peak_TxB, jnp.where(hides_TxK, bucket_TxK, peak_TxB.shape[1]))
        peak_TxM, bucket_TxM = lax.top_k(peak_TxB, count)
        return self._atom(bucket_TxM, self._place(peak_TxM))

    def _peaks(self, part: Array, x_TxD: Array, atoms_NxD: Array) -> Array:
        """The largest product of each bucket, as an integer whose last bits are its place there.

        Of positive numbers, bits are in the order of the numbers, so that the maximum of these is that of those.
        """
        each, start = 2**self.bits, self._start(part)
        product_TxN = einsum("TD,ND->TN", x_TxD, lax.dynamic_slice_in_dim(atoms_NxD, start, self.size))
        size_TxN = lax.bitcast_convert_type(jnp.abs(product_TxN), jnp.int32) & -each
        again_N = start + jnp.arange(self.size) < part * self.size  # are in the part before, too
        size_TxIxB = jnp.where(again_N[None], -each, size_TxN).reshape(len(x_TxD), each, -1)
        return jnp.max(size_TxIxB | jnp.arange(each, dtype=jnp.int32)[None, :, None], axis=1)

    def _place(self, peak: Array) -> Array:
        return peak & (2**self.bits - 1)

    def _start(self, part: Array) -> Array:
        return jnp.minimum(part * self.size, self.total - self.size)

    def _bucket(self, atom: Array) -> tuple[Array, Array]:
        """The buckets of all parts, one after another, that atoms are in, and their places there."""
        part, buckets = atom // self.size, self.size >> self.bits
        place, bucket = jnp.divmod(atom - self._start(part), buckets)
        return part * buckets + bucket, place

    def _atom(self, bucket: Array, place: Array) -> Array:
        """The atoms, from what `_bucket` gives."""
        part, bucket = jnp.divmod(bucket, self.size >> self.bits)
        return self._start(part) + place * (self.size >> self.bits) + bucket
