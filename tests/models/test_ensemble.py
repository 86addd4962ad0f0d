"""Several models as one: the mean of their distributions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pairs import aligned_batch, model_of

from lexitok.models.ensemble import Ensemble
from lexitok.ops.read_out import Query
from lexitok.sharding import make_mesh
from lexitok.sharding.rows import put_rows


@pytest.fixture(scope="module")
def subject():
    """Two models of one vocabulary, a batch, and all their log-probabilities."""
    models = [model_of("pairs", seed)[0] for seed in (0, 1)]
    encoder = model_of("pairs")[1]
    batch = aligned_batch(encoder, encoder)
    logs = jax.jit(lambda models: jnp.stack([jax.nn.log_softmax(model.logits(batch)) for model in models]))(models)
    return models, batch, np.asarray(logs, np.float64)


def answer(models, batch, mean, chunk=48):
    groups = jnp.arange(269) % 3
    query = Query(group_of_V=groups, groups=3, top_k=2, chunk=chunk)
    ask = jax.jit(lambda models, batch: Ensemble(models, mean).read_out(batch, query)[0])
    return jax.device_get(ask(models, batch))


@pytest.mark.parametrize("mean", ["probability", "logit"])
def test_it_is_the_mean(subject, mean):
    """Of probabilities, or of logarithms made to sum to one; whatever is asked of it."""
    models, batch, logs = subject
    expected = np.exp(logs).mean(0) if mean == "probability" else np.exp(logs.mean(0))
    expected /= expected.sum(-1, keepdims=True)
    found = answer(models, batch, mean)
    targets = np.asarray(batch.tokens.targets_BxS)
    nll = -np.log(np.take_along_axis(expected, targets[..., None], -1)[..., 0])
    np.testing.assert_allclose(found.nll_BxS, nll, rtol=1e-4, atol=1e-5)
    top = np.sort(expected, axis=-1)[..., :-3:-1]
    np.testing.assert_allclose(np.exp(found.top_BxSxk - found.log_z_BxS[..., None]), top, rtol=1e-4)
    mass = np.stack([expected[..., np.arange(269) % 3 == group].sum(-1) for group in range(3)], -1)
    np.testing.assert_allclose(np.exp(found.log_mass_BxSxG), mass, rtol=1e-4)
    apart = -np.take_along_axis(logs, targets[None, ..., None], -1)[..., 0]
    assert (nll <= apart.max(0) + 1e-6).all() and nll.mean() < apart.mean()


def test_the_mesh_does_not_matter(subject):
    """Rows and vocabulary are split over devices, as `evaluate` does it."""
    models, batch, _ = subject
    expected = answer(models, batch, "probability")
    with jax.set_mesh(make_mesh(data=2, fsdp=1, tensor=2, devices=jax.devices()[:4])):
        found = answer(models, put_rows(jax.device_get(batch)), "probability")
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def test_one_member_is_itself(subject):
    """And a chunk is a question of memory."""
    models, batch, _ = subject
    alone = jax.jit(lambda model, batch: model.read_out(batch)[0])(models[0], batch)
    found = answer(models[:1], batch, "probability", chunk=128)
    np.testing.assert_allclose(found.nll_BxS, alone.nll_BxS, rtol=1e-5, atol=1e-5)


def test_what_is_no_ensemble_is_refused(subject):
    """Before anything is computed."""
    with pytest.raises(ValueError, match="one member at least"):
        Ensemble([])
    with pytest.raises(ValueError, match="unknown mean 'median'; there are probability, logit"):
        Ensemble(subject[0], "median")
