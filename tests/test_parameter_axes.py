"""Parameters say what their axes are: every config's are split, decayed and orthogonalised as written down."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AbstractMesh, PartitionSpec
from samples import Pairs
from test_configs import ALL, CONFIGS

from lexitok.config.files import load_config
from lexitok.data.encoders import make_encoder, needs_tokenizer
from lexitok.made import Made
from lexitok.models.build import model_for
from lexitok.models.counting import count_params
from lexitok.nn.parameters import ones, parameter
from lexitok.nn.transformer import stack
from lexitok.parameter_axes import AxesError, axes_of, kind_of, map_with_axes
from lexitok.parameter_names import leaf_name
from lexitok.sharding import AXES, make_mesh, parameter_spec, state_shardings
from lexitok.training.optimizer import decays, make_optimizer, matrix_axes

GOLDENS = Path(__file__).parent / "goldens" / "parameters"
MESHES = (AbstractMesh((1, 16, 1), AXES), AbstractMesh((2, 4, 2), AXES))
HEADING = "name | axes | shape | split over data=1, fsdp=16, tensor=1 | over data=2, fsdp=4, tensor=2 | update\n"


def described(name: str, variable: nnx.Variable) -> str:
    """A line on a parameter; an axis of the mesh stands where it splits, - where an axis stays whole."""
    if isinstance(variable, Made):
        return f"{name} | made | {'x'.join(map(str, variable.get_value().shape))} | whole | whole | none\n"
    axes, shape = axes_of(variable, name), variable.get_value().shape
    split = [" ".join(axis or "-" for axis in parameter_spec(axes, shape, mesh)) or "whole" for mesh in MESHES]
    update = "adamw"
    if (matrix := matrix_axes(axes)) is not None:
        which = (np.atleast_1d(part).tolist() for part in matrix)
        update = "muon " + " to ".join("".join(axes.split()[i] for i in part) for part in which)
    update += ", decayed" if decays(axes) else ""
    return " | ".join((name, axes, "x".join(map(str, shape)), *split, update)) + "\n"


@pytest.mark.parametrize("name", sorted({name for name, _ in ALL}))
def test_parameters_are_treated_as_before(name):
    """A parameter that a change leaves whole, or without decay, shows up in review: pods pay for it without a word.

    To accept: LEXITOK_WRITE_GOLDENS=1 pytest ...
    """
    for variant in (variant for other, variant in ALL if other == name):
        config = load_config(f"{CONFIGS / name}.py:{variant}")
        encoder = make_encoder(config.text, Pairs() if needs_tokenizer(config.text) else None)
        model = jax.eval_shape(lambda: model_for(config, encoder)(nnx.Rngs(0)))  # noqa: B023
        leaves = jax.tree.leaves_with_path(model, is_leaf=lambda node: isinstance(node, nnx.Variable))
        counts = "".join(f"{part} {count}\n" for part, count in count_params(model).items())
        text = HEADING + "".join(described(leaf_name(path), node) for path, node in leaves) + counts
        golden = GOLDENS / f"{name}-{variant.replace(',', '-')}.txt"
        if os.environ.get("LEXITOK_WRITE_GOLDENS"):
            golden.write_text(text)
        assert golden.read_text() == text, golden.name


def test_no_golden_is_left_over():
    """A golden whose config is gone would be read as if it were there."""
    assert {path.name for path in GOLDENS.iterdir()} == {f"{n}-{v.replace(',', '-')}.txt" for n, v in ALL}


class Layer(nnx.Module):
    def __init__(self, rngs):
        self.up = parameter("D F", jax.random.normal(rngs.params(), (8, 16)))
        self.scale = ones("D", 8)


def made():
    return stack(Layer, 3, nnx.Rngs(params=0))


def axes_in(tree) -> list[str]:
    return jax.tree.leaves(map_with_axes(lambda axes, _: axes or "none", tree))


def test_axes_go_with_the_parameters():
    """Transformations of JAX keep the letters, and all that mirrors a model has them: they are its tree's structure."""
    model, wanted = made(), ["L D", "L D F"]

    def loss(model):
        return jnp.sum(model.up[...] ** 2) + jnp.sum(model.scale[...])

    for tree in (
        model,
        jax.tree.map(jnp.copy, model),
        jax.jit(lambda m: m)(model),
        jax.eval_shape(made),
        jax.grad(loss)(model),
        nnx.merge(*nnx.split(model)),
        jax.tree.unflatten(jax.tree.structure(model), jax.tree.leaves(model)),
    ):
        assert axes_in(tree) == wanted
        assert jax.tree.structure(tree) == jax.tree.structure(model)
    assert axes_in(stack(lambda rngs: stack(Layer, 2, rngs), 3, nnx.Rngs(params=0))) == ["L L D", "L L D F"]


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_moments_are_split_as_parameters_are(name):
    """Of a state, only counts and constants are whole: a moment that is not split costs as much as the parameter."""
    config = load_config(f"{CONFIGS / 'bytes'}.py:tiny").optimizer
    config.name = name
    mesh = make_mesh(data=1, fsdp=4, tensor=2)
    state = jax.eval_shape(lambda: (made(), make_optimizer(config, 10, 64).init(made())))
    specs = state_shardings(state, mesh)
    for leaf, sharding in zip(jax.tree.leaves(state), jax.tree.leaves(specs), strict=True):
        split = PartitionSpec(None, "fsdp", "tensor") if leaf.shape == (3, 8, 16) else PartitionSpec()
        assert sharding.spec == split, leaf


@pytest.mark.parametrize(
    ("axes", "spec"),
    [
        ("L D H N", (None, "fsdp", "tensor", None)),
        ("L H N D", (None, "tensor", None, "fsdp")),
        ("V D", ("tensor", "fsdp")),
        ("D D", ("fsdp", "tensor")),
        ("E D", ("fsdp", "tensor")),
        ("O D E", (None, "fsdp", "tensor")),
        ("L D", ()),
        ("L H N", ()),
        ("P E", ()),
        ("C H N", ()),
        ("", ()),
    ],
)
def test_letters_say_how_to_split(axes, spec):
    """No axis of the mesh splits a parameter twice, and vectors are copies on every device."""
    assert parameter_spec(axes, (16,) * len(axes.split()), MESHES[1]) == PartitionSpec(*spec)


def test_keys_that_the_mesh_cannot_split_are_whole():
    """With fewer key heads than `tensor`, each device has all of them, and still its share of `D`."""
    assert parameter_spec("D K N", (64, 1, 16), MESHES[1]) == PartitionSpec("fsdp", None, None)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ("D Q", "no Q; there are L "),
        ("D L", "stacks .* come first"),
        ("E V", "stacks .* come first"),
        ("D E F", "two widths"),
        ("V P D", "one kind of rows"),
    ],
)
def test_axes_that_say_nothing_are_refused(axes, message):
    """A typing error would be an axis that nothing splits."""
    with pytest.raises(AxesError, match=message):
        kind_of(axes)


def test_parameters_without_their_axes_are_named():
    """What does not say what it is was replicated on every chip without a word."""
    with pytest.raises(AxesError, match=r"shape \(2, 3\) .* 'D'"):
        parameter("D", jnp.ones((2, 3)))
    model, mesh = made(), make_mesh(data=8)
    model.up = nnx.Param(model.up[...])
    with pytest.raises(AxesError, match="parameter up does not say"):
        state_shardings(model, mesh)
    with pytest.raises(AxesError, match=r"parameter scale has shape \(8,\), and its axes are 'L D'"):
        state_shardings(jax.tree.map(lambda a: a[0], made()), mesh)
