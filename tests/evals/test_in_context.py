"""The prompts are what they say they are, and what solves them gets them right."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import small

from lexitok.evals.in_context import (
    PromptSymbols,
    frequent_symbols,
    look_up,
    look_up_prompts,
    permutation_prompts,
    permute,
)
from lexitok.evals.text_rows import ProbeError
from lexitok.models.extras import Extras
from lexitok.ops.read_out import Reductions

SYMBOLS = PromptSymbols(np.arange(100, 140, dtype=np.int32), arrow=62, separator=59)
SOLVED = {"prompts": 60, "rows": 32}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ByHand:
    """A model of hand-made logits."""

    says: str = dataclasses.field(metadata={"static": True})

    def logits(self, batch):
        symbols = batch.tokens.symbols_BxS
        return jax.nn.one_hot(getattr(self, self.says)(symbols), 260, dtype=jnp.float32)

    def read_out(self, batch, query=None):
        logits = self.logits(batch)
        target = jnp.take_along_axis(logits, batch.tokens.targets_BxS[..., None], axis=-1)[..., 0]
        log_z = jax.nn.logsumexp(logits, axis=-1)
        return Reductions(log_z - target, log_z, target >= logits.max(-1)), Extras(jnp.zeros(()), {})

    def value(self, symbols):
        """What stands two places after the first place of the symbol before this one."""
        key = jnp.roll(symbols, 1, axis=1)
        place = jnp.argmax(symbols[:, None, :] == key[:, :, None], axis=2)
        return jnp.take_along_axis(symbols, jnp.minimum(place + 2, symbols.shape[1] - 1), axis=1)

    def first_value(self, symbols):
        return jnp.broadcast_to(symbols[:, 3:4], symbols.shape)

    def copy(self, symbols):
        """What stands four places before."""
        return jnp.roll(symbols, 4, axis=1)


@settings(max_examples=20)
@given(st.integers(1, 20), st.integers(0, 1000))
def test_look_up_prompts_hold_their_answers(pairs, seed):
    """Keys and values must be different symbols, or a prompt may have two answers."""
    for prompt in look_up_prompts(SYMBOLS, pairs, 3, np.random.default_rng(seed)).tolist():
        shown, (key, arrow, answer) = np.array(prompt[:-3]).reshape(pairs, 4), prompt[-3:]
        assert len(set(shown[:, [0, 2]].reshape(-1).tolist())) == 2 * pairs and arrow == SYMBOLS.arrow
        assert (shown[:, 1] == SYMBOLS.arrow).all() and (shown[:, 3] == SYMBOLS.separator).all()
        assert dict(shown[:, [0, 2]].tolist())[key] == answer


@settings(max_examples=20)
@given(st.integers(2, 6), st.integers(0, 5), st.integers(0, 1000))
def test_permutation_prompts_hold_one_permutation(size, examples, seed):
    """The answer has to follow from the examples, and the identity would be solved by copying."""
    for prompt in permutation_prompts(SYMBOLS, size, examples, 3, np.random.default_rng(seed)).tolist():
        lines = np.array([*prompt, SYMBOLS.separator]).reshape(examples + 1, 2 * size + 2)
        assert (lines[:, size] == SYMBOLS.arrow).all() and (lines[:, -1] == SYMBOLS.separator).all()
        orders = {tuple(line[:size].tolist().index(x) for x in line[size + 1 : -1]) for line in lines}
        (order,) = orders
        assert sorted(order) == list(range(size)) != list(order)


def test_who_looks_up_is_right_and_who_guesses_is_at_chance():
    """Both ends of the scale."""
    _, encoder = small("bytes")
    right = look_up(ByHand("value"), encoder, SYMBOLS, pairs=(1, 3, 9), **SOLVED)
    assert right.accuracy.tolist() == right.whole.tolist() == [1.0] * 3 and right.error.tolist() == [0.0] * 3
    assert right.nats == pytest.approx(np.log(259 + np.e) - 1, rel=1e-4)
    guessed = look_up(ByHand("first_value"), encoder, SYMBOLS, pairs=(1, 3, 9), **SOLVED)
    assert guessed.accuracy[0] == 1.0 and guessed.chance.tolist() == [1.0, 1 / 3, 1 / 9]
    assert (abs(guessed.accuracy - guessed.chance) <= 4 * guessed.error).all()


def test_who_copies_gets_no_permutation_right():
    """The identity is no permutation here; fixed points are all that copying gets, 20 of 23 times 4."""
    _, encoder = small("bytes")
    found = permute(ByHand("copy"), encoder, SYMBOLS, examples=(1, 2), **SOLVED)
    assert found.whole.tolist() == [0.0, 0.0]
    assert (abs(found.accuracy - 20 / 92) <= 4 * found.error).all() and (found.error > 0).all()
    assert found.chance[0] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4) and found.whole_chance[0] == 1 / 24


def test_prompts_of_other_lengths_make_no_difference():
    """Short prompts are padded to the longest: what follows the answer must not be seen."""
    model, encoder = small("bytes")
    alone = look_up(model, encoder, SYMBOLS, pairs=(2,), prompts=8, rows=8)
    beside = look_up(model, encoder, SYMBOLS, pairs=(2, 5), prompts=8, rows=8)
    assert beside.nats[0] == pytest.approx(alone.nats[0], rel=1e-5)


def test_prompts_are_of_what_is_frequent():
    """A symbol that a model has never seen would not test what it does with the prompt."""
    _, encoder = small("bytes")
    found = frequent_symbols(encoder, [b"   eeaab", b"  e a x"], count=2)
    assert (found.separator, found.arrow, found.content.tolist()) == (32, ord("a"), [ord("e"), ord("b")])
    with pytest.raises(ProbeError, match="has 5 different symbols, and 12 are asked for"):
        frequent_symbols(encoder, [b"   eeaab", b"  e a x"], count=10)


def test_what_cannot_be_asked_is_named():
    """A prompt of repeated symbols would have no answer."""
    _, encoder = small("bytes")
    with pytest.raises(ProbeError, match="needs 42 different symbols, and there are 40"):
        look_up(ByHand("value"), encoder, SYMBOLS, pairs=(21,), **SOLVED)
    with pytest.raises(ProbeError, match="take 2 at least"):
        permute(ByHand("copy"), encoder, SYMBOLS, size=1, **SOLVED)
    with pytest.raises(ProbeError, match="has units of them"):
        look_up(ByHand("value"), small("hat_v2")[1], SYMBOLS, **SOLVED)
