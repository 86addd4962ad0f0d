"""The small model that BLT asks: out of its run, with a threshold that gives units of the wanted length."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from ml_collections import ConfigDict, FrozenConfigDict
from samples import CONFIGS, TEXT, small, small_config

from lexitok.config.files import load_config
from lexitok.data.sources import open_source
from lexitok.data.windows import eval_batches
from lexitok.models.routers import EntropyRouter
from lexitok.nn.parameters import parameter
from lexitok.ops.attention import Positions
from lexitok.parameter_names import names, split, to_dicts
from lexitok.runs.checkpoints.reading import read_checkpoint
from lexitok.runs.load import load_model
from lexitok.runs.parameters import read_parameters
from lexitok.training import entropy, starts
from lexitok.training.loop import train
from lexitok.training.state import SetupError, TrainState, is_fixed


@pytest.fixture(scope="module")
def blt(tmp_path_factory) -> ConfigDict:
    """A small BLT whose splitter's model is of a run of two steps."""
    root = tmp_path_factory.mktemp("entropy")
    (root / "texts").mkdir()
    rng = np.random.default_rng(0)  # text that repeats itself has equal entropies, and no threshold between them
    for i in range(24):
        (root / "texts" / f"{i}.txt").write_text("".join(rng.choice(list(TEXT.decode()), 200)))
    c = small_config("blt")
    lm = load_config(f"{CONFIGS}/entropy_lm.py")
    lm.model = c.model.stage.router.lm.copy_and_resolve_references()
    for data in (c.data, lm.data):
        data.source, data.cache = f"text:{root}/texts/*.txt", str(root / "cache")
        data.rows, data.symbols, data.units, data.packing_bins = 8, 128, 96, 8
    lm.train.steps, lm.train.eval_every = 2, 0
    train(lm, root / "run")
    c.model.stage.router.run = str(root / "run")
    return c


def state_of(model, average=None) -> TrainState:
    """A state of the given parameters, without an optimizer's."""
    fixed, trained = split(model, is_fixed)
    ema = None if average is None else split(average, is_fixed)[1]
    return TrainState(jnp.zeros((), jnp.int32), trained, {"model": fixed}, None, ema)


def fresh_state() -> TrainState:
    return state_of(small("blt")[0])


def sample(c: ConfigDict):
    return entropy._sample(c, small("blt")[1], c.model.stage.router.sample_bytes)


def bytes_per_unit(router: EntropyRouter, c: ConfigDict) -> float:
    """On the text that the threshold was found on."""
    documents = [d.data for d in open_source(c.data.source, "train", cache=c.data.cache).documents(200_000)]
    positions = units = 0

    @jax.jit
    def run(router, batch):
        return router(
            None, batch.tokens.symbols_BxS, Positions(batch.tokens.segments_BxS, batch.tokens.positions_BxS)
        ).ends_BxS

    for batch, _ in eval_batches(documents, small("blt")[1], rows=8, symbols=128, units=96, overlap=0.0):
        live = batch.tokens.segments_BxS > 0
        positions, units = positions + live.sum(), units + (np.asarray(run(router, batch)) & live).sum()
    return positions / units


def with_rule(router: EntropyRouter, rule: str) -> EntropyRouter:
    """The router under another rule, without cuts of long units."""
    c = ConfigDict(router.c.to_dict())
    c.rule, c.longest = rule, 1 << 20
    other = EntropyRouter(FrozenConfigDict(c), 12, rngs=nnx.Rngs(0))
    other.frozen_lm, other.frozen_threshold = router.frozen_lm, router.frozen_threshold
    return other


def test_a_fresh_model_asks_the_model_of_the_run(blt):
    """Weights and threshold arrive in parameters and in their average; the rest, and the state given, stay."""
    state = state_of(small("blt")[0], small("blt")[0])
    before = names(jax.device_get(to_dicts(state.model)))
    installed, origins = starts.install(state, blt, small("blt")[1])
    asked = read_parameters(blt.model.stage.router.run).parameters
    assert [(origin.at, origin.part) for origin in origins] == [("stage.router.frozen_lm", "")]
    for model in (installed.model, installed.averaged):
        for name, value in names(to_dicts(model)).items():
            if name.startswith("stage.router.frozen_lm."):
                np.testing.assert_array_equal(value, asked[name.removeprefix("stage.router.frozen_lm.")])
            elif not name.endswith("frozen_threshold"):
                np.testing.assert_array_equal(value, before[name])
    for name, value in names(to_dicts(state.model)).items():
        np.testing.assert_array_equal(value, before[name], err_msg="the state given was changed")
    # With cuts of long units, units are shorter than the rule alone would have them.
    found = with_rule(installed.model.stage.router, "global")
    assert bytes_per_unit(found, blt) == pytest.approx(blt.model.stage.router.bytes_per_unit, rel=0.02)


@pytest.mark.parametrize(("rule", "wanted"), [("global", 2.0), ("global", 9.0), ("relative", 3.0)])
def test_thresholds_give_the_wanted_bytes_per_unit(blt, rule, wanted):
    """What is compared between splitters is their rule, so their units have to be of one length (within 2 %)."""
    router = with_rule(fresh_state().model.stage.router, rule)
    threshold = entropy.calibrate(router, sample(blt), wanted)
    router.frozen_threshold = parameter("", jnp.float32(threshold))
    assert bytes_per_unit(router, blt) == pytest.approx(wanted, rel=0.02)


def test_units_that_no_threshold_gives_are_refused(blt):
    """Units of a byte or less, or longer than the sample's documents allow."""
    router = fresh_state().model.stage.router
    for wanted, message in ((1.0, "bytes_per_unit is 1.0; it must be above 1"), (1e6, "raise model.stage.router")):
        with pytest.raises(SetupError, match=message):
            entropy.calibrate(router, sample(blt), wanted)
    with pytest.raises(SetupError, match="a sample of 0 positions"):
        entropy.calibrate(router, [], 4.5)


def test_text_that_repeats_itself_has_no_threshold():
    """Units four times as long as was asked for must not pass for what was asked for."""
    router = small("blt")[0].stage.router
    batches = eval_batches([b"ab" * 600], small("blt")[1], rows=8, symbols=128, units=96, overlap=0.0)
    with pytest.raises(SetupError, match="no threshold gives units of 2.5 bytes, the nearest"):
        entropy.calibrate(router, [batch for batch, _ in batches], 2.5)


def test_a_run_has_to_be_named(blt):
    """A splitter that asks an untrained model is a mistake, and the message has the command that trains one."""
    c = blt.copy_and_resolve_references()
    c.model.stage.router.run = ""
    with pytest.raises(SetupError, match=r"run is empty[\s\S]*train\.py --config=configs/entropy_lm\.py"):
        starts.install(fresh_state(), c, small("blt")[1])


def test_a_run_of_another_shape_is_named(blt):
    """The router is made before its model is read: what differs is said, not what fails to fit."""
    c = blt.copy_and_resolve_references()
    c.model.stage.router.lm.backbone.F += 1
    with pytest.raises(SetupError, match=r"is not the model of .*run; they differ in \{'backbone\.F': \(13, 12\)\}"):
        starts.install(fresh_state(), c, small("blt")[1])


def test_other_models_have_nothing_to_install():
    """Their states are as they were."""
    for kind in ("bytes", "hnet", "blt_space"):
        state = state_of(small(kind)[0])
        assert starts.install(state, small_config(kind), small(kind)[1]) == (state, ())


@pytest.mark.slow
def test_a_model_that_asks_another_is_trained_and_averaged(blt, tmp_path):
    """Its checkpoints hold neither the other model nor an average of it, and yet it is loaded whole."""
    c = blt.copy_and_resolve_references()
    c.train.steps, c.train.eval_every, c.train.ema = 2, 0, 0.9
    train(c, tmp_path / "run")
    stored = names(read_checkpoint(tmp_path / "run", part="").parameters)
    assert [name for name in stored if "frozen_" in name] == ["fixed.model.stage.router.frozen_threshold"]
    model, _ = load_model(tmp_path / "run")
    asked = read_parameters(c.model.stage.router.run).parameters
    for name, value in names(to_dicts(model.stage.router.frozen_lm)).items():
        np.testing.assert_array_equal(value, asked[name])
