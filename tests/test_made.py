"""What is made and not learnt is an argument of programs, is kept out of everything that is of parameters, and is known
by its name."""

import functools

import jax
import numpy as np
import pytest
from flax import nnx
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict
from programs import large_constants
from samples import Pairs, made, small_config
from test_configs import CONFIGS, one_row

from lexitok import config as C
from lexitok.analysis.parameter_tables import array_table
from lexitok.config.files import load_config
from lexitok.data.encoders import make_encoder, needs_tokenizer
from lexitok.evals.scoring import scorer
from lexitok.inference import decoder as decoder_file
from lexitok.inference.decoder import Decoder
from lexitok.made import Made, is_made, with_made
from lexitok.made import made as made_array
from lexitok.models.build import model_for
from lexitok.models.counting import count_params
from lexitok.nn.parameters import ones
from lexitok.nn.transformer import stack
from lexitok.parameter_axes import AxesError
from lexitok.parameter_names import names, split, to_dicts
from lexitok.sharding import make_mesh, replicated, state_shardings
from lexitok.training import setup as setup_file
from lexitok.training.ahead_of_time import abstract_batch
from lexitok.training.setup import make_setup

BOUND = 1024  # bytes: far below any table, even of the few tokens of `Pairs`
# Whatever makes its gradient in a way of its own; the forward passes of all configs are traced in `test_configs`.
STRUCTURES = [
    ("subword", "cpu"),
    ("hat_v1", "cpu"),
    ("blt", "cpu"),
    ("hnet", "two,cpu"),
    ("bolmo", "cpu"),
    ("interfaces", "affine,bytes"),
    ("interfaces", "semi_lexinvariant,bytes"),
    ("interfaces", "glyphs_told_apart,subword"),
    ("hat_pretrained", "frozen"),
]


def glyph_config() -> ConfigDict:
    c = small_config("bytes")
    c.text.kind, c.model.interface = "subword", C.glyphs(distinct="told_apart")
    return c


CONFIGS_WITH_MADE = {"glyphs": glyph_config, "bolmo": lambda: small_config("bolmo")}


@functools.cache
def small_with(kind: str):
    """A small model, and its encoder."""
    return made(CONFIGS_WITH_MADE[kind]())


with_tables = pytest.mark.parametrize("kind", sorted(CONFIGS_WITH_MADE))


@pytest.fixture
def _stand_in_tokenizer(monkeypatch):
    """Setups whose tokenizer is not trained: no test here reads any text."""

    def encoder(config, workdir):
        del workdir
        return make_encoder(config.text, Pairs() if needs_tokenizer(config.text) else None), b""

    monkeypatch.setattr(setup_file, "_make_encoder", encoder)


@pytest.mark.usefixtures("_stand_in_tokenizer")
@pytest.mark.parametrize(
    ("name", "variant"),
    [pytest.param(*each, marks=() if each in STRUCTURES[4:8] else pytest.mark.slow) for each in STRUCTURES],
)
def test_a_training_step_holds_no_table(name, variant):
    """What is megabytes for a large vocabulary was a constant of each program, compiled and kept with each of them."""
    c = load_config(f"{CONFIGS / name}.py:{variant}")
    c.data.rows, c.optimizer.accumulate = 8, 1
    c.mesh.update(data=-1, fsdp=1, tensor=1)
    setup = make_setup(c)
    with jax.set_mesh(setup.mesh):
        traced = setup.step().trace(setup.abstract_state, abstract_batch(setup))
    assert not large_constants(traced.jaxpr, BOUND)


@with_tables
def test_evaluation_and_decoding_hold_no_table(kind, monkeypatch):
    """A decoder compiles a program for each shape of its calls: each had a copy."""
    model, encoder = small_with(kind)
    extend, programs = decoder_file.extend, []

    def noted(*arguments):
        programs.append(extend.trace(*arguments).jaxpr)
        return extend(*arguments)

    monkeypatch.setattr(decoder_file, "extend", noted)
    Decoder(model, encoder, 1, 16).read([[encoder.vocabulary.bos]])
    assert programs
    programs.append(scorer().trace(model, one_row(CONFIGS_WITH_MADE[kind](), encoder)).jaxpr)
    assert not [large for program in programs for large in large_constants(program, BOUND)]


@with_tables
def test_it_is_counted_nowhere(kind):
    """Published sizes are those of what is learnt."""
    model, _ = small_with(kind)
    tables, parameters = split(model, is_made)
    assert jax.tree.leaves(tables)
    assert count_params(model) == count_params(parameters)
    assert array_table(model) == array_table(parameters)


@with_tables
def test_every_device_has_all_of_it(kind):
    """Rows of batches, which are split, look up any entry; nothing else of a model is kept whole for that."""
    model, encoder = small_with(kind)
    mesh = make_mesh(data=2, fsdp=2, tensor=2)
    shapes = jax.eval_shape(lambda: model)
    specs = names(to_dicts(jax.tree.map(lambda sharding: sharding.spec, state_shardings(shapes, mesh))))
    assert {spec for name, spec in specs.items() if is_made(name)} == {PartitionSpec()}
    with jax.set_mesh(mesh):
        filled = with_made(shapes, model_for(CONFIGS_WITH_MADE[kind](), encoder), replicated())
    for name, x in names(to_dicts(filled)).items():
        assert isinstance(x, jax.Array) == is_made(name)
        if is_made(name):
            assert x.sharding.mesh == mesh
            np.testing.assert_array_equal(x, names(to_dicts(model))[name])


class Layer(nnx.Module):
    """With a table whose name says that it is made, or does not."""

    def __init__(self, rngs: nnx.Rngs, name: str = "made_table"):
        del rngs
        self.scale = ones("D", 3)
        setattr(self, name, made_array(np.arange(4, dtype=np.uint8)))


def test_layers_of_a_stack_may_have_it():
    """A stack gives its parameters one axis more by their letters, and this has none."""
    layers = stack(Layer, 3, nnx.Rngs(params=0))
    assert isinstance(layers.made_table, Made)
    assert (layers.scale.shape, layers.made_table.shape) == ((3, 3), (3, 4))
    assert state_shardings(layers, make_mesh()).made_table.get_value().spec == PartitionSpec()


def test_names_that_say_something_else_are_refused():
    """By its name it is left out of checkpoints: a parameter would be lost there, and a table asked for."""
    mesh = make_mesh()
    with pytest.raises(AxesError, match=r"^table: names of what lexitok.made makes, and no others, begin with made_"):
        state_shardings(Layer(nnx.Rngs(params=0), "table"), mesh)
    layer = Layer(nnx.Rngs(params=0))
    layer.made_scale = ones("D", 3)
    with pytest.raises(AxesError, match=r"^made_scale: .* no others"):
        state_shardings(layer, mesh)
    assert is_made("interface.made_scale") and not is_made("made_by.scale") and not is_made("handmade_scale")
