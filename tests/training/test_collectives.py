"""What a program moves, and whether it does so in a loop."""

import jax
import jax.numpy as jnp

from lexitok.sharding import make_mesh
from lexitok.training.collectives import Collective, collectives


def test_loops_are_told_apart():
    """What stands in a loop's body runs many times, also where the loop calls another program that holds it."""
    mesh = make_mesh(8)

    def local(x):
        x = jax.lax.psum(x, "data")
        return jax.lax.fori_loop(
            0, 3, lambda _, y: jax.lax.cond(y[0] > 0, lambda y: jax.lax.pmax(y, "data"), jnp.sin, y), x
        )

    function = jax.shard_map(local, mesh=mesh, in_specs=jax.P("data"), out_specs=jax.P("data"), check_vma=False)
    program = jax.jit(function).lower(jnp.zeros(32)).compile().as_text()
    assert sorted(collectives(program), key=lambda c: c.in_loop) == [
        Collective("all-reduce", False, 16),
        Collective("all-reduce", True, 16),
    ]
