"""Reductions a few positions of every row at a time; the backward pass computes the logits again.

On a mesh each device goes over its own rows, with its share of the vocabulary: what it needs of the table is gathered
before the first chunk, and the table's gradient is reduced behind the last one. Within the loop only numbers of
positions cross devices, and only where the vocabulary is split.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float

from lexitok.ops.read_out import reference
from lexitok.ops.read_out.positions import cut, joined, of_positions
from lexitok.ops.read_out.query import Query, Reductions
from lexitok.sharding.rows import ROWS

_ROWS = ("data", "fsdp")


def read_out(h_BxSxD: Float[Array, "B S D"], w_VxD: Float[Array, "V D"], query: Query, *, softcap: float) -> Reductions:
    """As `api.read_out`; holds `B·chunk·V` logits."""
    return _read_out(softcap, h_BxSxD, w_VxD, query)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _read_out(softcap: float, h_BxSxD: Array, w_VxD: Array, query: Query) -> Reductions:
    return _forward(softcap, h_BxSxD, w_VxD, query)[0]


def _forward(softcap: float, h_BxSxD: Array, w_VxD: Array, query: Query) -> tuple[Reductions, Any]:
    w = w_VxD.astype(h_BxSxD.dtype)  # before it is gathered: less moves
    split = _split(len(h_BxSxD), len(w_VxD))

    def over_chunks(h: Array, w: Array, query: Query) -> Reductions:
        positions, group_of_V = of_positions(query)

        def step(_: None, chunk: tuple[Array, Query]) -> tuple[None, Reductions]:
            h, positions = chunk
            asked = dataclasses.replace(positions, group_of_V=group_of_V)
            return None, _reduced(_logits(h, w, softcap), asked, split.vocabulary)

        chunks = cut((h, positions), query.chunk)
        return joined(jax.lax.scan(step, None, chunks)[1], h.shape[1])

    found = split.over(over_chunks, "hwq", "r")(h_BxSxD, w, query)
    return found, (h_BxSxD, w_VxD, query, found)


def _backward(softcap: float, kept: Any, cotangents: Reductions) -> tuple[Array, Array, None]:
    h_BxSxD, w_VxD, query, found = kept
    split = _split(len(h_BxSxD), len(w_VxD))

    def over_chunks(h: Array, w: Array, query: Query, found: Reductions, given: Reductions) -> tuple[Array, Array]:
        positions, group_of_V = of_positions(query)

        def step(dw: Array, chunk: Any) -> tuple[Array, Array]:
            h, positions, found, given = chunk
            asked = dataclasses.replace(positions, group_of_V=group_of_V)
            logits = _logits(h, w, softcap)
            dl = _gradient_of_logits(logits, asked, found, given, split.vocabulary)
            if softcap:
                dl = dl * (1.0 - jnp.square(logits / softcap))
            dl = dl.astype(h.dtype)  # for products of one dtype; they are added up in float32
            dh = jnp.einsum("BSV,VD->BSD", dl, w, preferred_element_type=jnp.float32)
            return dw + jnp.einsum("BSV,BSD->VD", dl, h, preferred_element_type=jnp.float32), dh

        chunks = cut((h, positions, found, given), query.chunk)
        dw, dh = jax.lax.scan(step, jnp.zeros(w.shape, jnp.float32), chunks, reverse=True)
        return split.sum_over_vocabulary(joined(dh, h.shape[1])), split.sum_over_rows(dw)

    w = w_VxD.astype(h_BxSxD.dtype)
    dh, dw = split.over(over_chunks, "hwqrr", "hd")(h_BxSxD, w, query, found, cotangents)
    return dh.astype(h_BxSxD.dtype), dw.astype(w_VxD.dtype), None


_read_out.defvjp(_forward, _backward)


def _logits(h: Array, w: Array, softcap: float) -> Array:
    return reference.logits(h, w, softcap)


@dataclasses.dataclass(frozen=True)
class _Vocabulary:
    """A device's share of the vocabulary; all of it where `ways` is 1.

    Attributes:
      ways: devices that share it.
      size: symbols of a share.
    """

    ways: int
    size: int

    def start(self) -> Any:
        return jax.lax.axis_index("tensor").astype(jnp.int32) * self.size if self.ways > 1 else 0

    def sum(self, x: Array) -> Array:
        return jax.lax.psum(x, "tensor") if self.ways > 1 else x

    def max(self, x: Array) -> Array:
        return jax.lax.pmax(x, "tensor") if self.ways > 1 else x

    def pick(self, logits: Array, ids: Array) -> Array:
        """The logits of symbols, whichever device has them."""
        if self.ways == 1:
            return jnp.take_along_axis(logits, ids, axis=-1)
        at = ids - self.start()
        own = jnp.take_along_axis(logits, jnp.clip(at, 0, self.size - 1), axis=-1)
        return self.sum(jnp.where((at >= 0) & (at < self.size), own, 0.0))

    def put(self, logits: Array, ids: Array, values: Array) -> Array:
        """Logits with values added at symbols, on the device that has them."""
        B, S, _ = logits.shape
        at = ids - self.start()
        at = jnp.where((at >= 0) & (at < self.size), at, self.size)
        b, s = jnp.arange(B, dtype=jnp.int32)[:, None, None], jnp.arange(S, dtype=jnp.int32)[None, :, None]
        return logits.at[b, s, at].add(values, mode="drop")


def _reduced(logits: Array, query: Query, vocabulary: _Vocabulary) -> Reductions:
    """`reference.reduced`, where each device has its share of the symbols."""
    if vocabulary.ways == 1:
        return reference.reduced(logits, query)
    largest = vocabulary.max(logits.max(-1))
    log_z = jnp.log(vocabulary.sum(jnp.sum(jnp.exp(logits - largest[..., None]), axis=-1))) + largest
    nll = is_top = top = top_ids = columns = mass = None
    if query.targets_BxS is not None:
        target = vocabulary.pick(logits, query.targets_BxS[..., None])[..., 0]
        nll, is_top = log_z - target, target >= largest
    if query.top_k:
        top, top_ids = _largest(logits, query.top_k, vocabulary)
    if query.columns_BxSxC is not None:
        columns = vocabulary.pick(logits, query.columns_BxSxC)
    if query.group_of_V is not None:
        own = reference.grouped_logsumexp(logits, _own_groups(query, vocabulary), query.groups)
        most = vocabulary.max(own)
        most = jnp.where(jnp.isfinite(most), most, 0.0)
        mass = jnp.log(vocabulary.sum(jnp.exp(own - most))) + most - log_z[..., None]
    return Reductions(nll, log_z, is_top, top, top_ids, columns, mass)


def _largest(logits: Array, k: int, vocabulary: _Vocabulary) -> tuple[Array, Array]:
    """The largest of all devices' logits: each device's largest, in the order of their symbols, and of those."""
    top, ids = jax.lax.top_k(logits, min(k, vocabulary.size))
    tops = jax.lax.all_gather(top, "tensor", axis=-1, tiled=True)
    all_ids = jax.lax.all_gather(ids + vocabulary.start(), "tensor", axis=-1, tiled=True)
    top, at = jax.lax.top_k(tops, k)
    return top, jnp.take_along_axis(all_ids, at, axis=-1)


def _own_groups(query: Query, vocabulary: _Vocabulary) -> Array:
    if vocabulary.ways == 1:
        return query.group_of_V
    return jax.lax.dynamic_slice_in_dim(query.group_of_V, vocabulary.start(), vocabulary.size)


def _gradient_of_logits(
    logits: Array, query: Query, found: Reductions, given: Reductions, vocabulary: _Vocabulary
) -> Array:
    """Of what was asked, by each logit: `given` are the cotangents of `found`."""
    of_log_z = given.log_z_BxS
    if query.targets_BxS is not None:
        of_log_z = of_log_z + given.nll_BxS
    if query.group_of_V is not None:
        of_log_z = of_log_z - jnp.sum(given.log_mass_BxSxG, axis=-1)
    out = jnp.exp(logits - found.log_z_BxS[..., None]) * of_log_z[..., None]
    if query.targets_BxS is not None:
        out = vocabulary.put(out, query.targets_BxS[..., None], -given.nll_BxS[..., None])
    if query.top_k:
        out = vocabulary.put(out, found.top_ids_BxSxk, given.top_BxSxk)
    if query.columns_BxSxC is not None:
        out = vocabulary.put(out, query.columns_BxSxC, given.columns_BxSxC)
    if query.group_of_V is not None:
        group_of_V = _own_groups(query, vocabulary)
        mass = (found.log_mass_BxSxG + found.log_z_BxS[..., None])[..., group_of_V]
        out = out + jnp.exp(logits - mass) * given.log_mass_BxSxG[..., group_of_V]
    return out


@dataclasses.dataclass(frozen=True)
class _Split:
    """How the work is shared out over the mesh that is set; `mesh` None: it is not."""

    mesh: Any
    vocabulary: _Vocabulary

    def over(self, function: Any, takes: str, gives: str) -> Any:
        """The function on every device's share. Letters say what is taken and given: hidden vectors, the table `w`, a
        query, reductions, the table's gradient `d`."""
        if self.mesh is None:
            return function
        table = "tensor" if self.vocabulary.ways > 1 else None
        query = Query(ROWS, ROWS, P())  # as a prefix of what there is
        specs = {"h": ROWS, "r": ROWS, "w": P(table, None), "q": query, "d": P(table, None)}

        def called(*args: Any) -> Any:
            given = [
                _query_specs(arg, query) if letter == "q" else specs[letter]
                for letter, arg in zip(takes, args, strict=True)
            ]
            out = specs[gives] if len(gives) == 1 else tuple(specs[letter] for letter in gives)
            return jax.shard_map(function, mesh=self.mesh, in_specs=tuple(given), out_specs=out, check_vma=False)(*args)

        return called

    def sum_over_rows(self, x: Array) -> Array:
        return x if self.mesh is None else jax.lax.psum(x, _ROWS)

    def sum_over_vocabulary(self, x: Array) -> Array:
        return self.vocabulary.sum(x)


def _query_specs(query: Query, specs: Query) -> Query:
    fields = ("targets_BxS", "columns_BxSxC", "group_of_V")
    kept: dict[str, Any] = {name: None if getattr(query, name) is None else getattr(specs, name) for name in fields}
    return dataclasses.replace(query, **kept)


def _split(B: int, V: int) -> _Split:
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or "data" not in mesh.axis_names or mesh.size == 1:
        return _Split(None, _Vocabulary(1, V))
    if B % (mesh.shape["data"] * mesh.shape["fsdp"]):
        return _Split(None, _Vocabulary(1, V))
    ways = mesh.shape["tensor"]
    ways = ways if V % ways == 0 else 1
    return _Split(mesh, _Vocabulary(ways, V // ways))
