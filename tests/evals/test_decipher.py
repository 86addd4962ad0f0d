"""A probe for deciphering finds what is in a model's states, and cannot find what is not."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from first_occurrence import by_first_occurrence
from samples import made, small, small_config

from lexitok import config as C
from lexitok.evals.decipher import decipher, make_ciphers
from lexitok.evals.text_rows import ProbeError, row_batches, stretches

RNG = np.random.default_rng(0)
DOCUMENTS = [bytes(RNG.choice(list(b"abcdefg "), 50).tolist()) for _ in range(12)]
TRAINING = {"steps": 150, "batch": 128, "lr": 1e-2, "width": 32}
SETTINGS = {"symbols": 24, "rows": 8, "each": 2} | TRAINING


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Clock:
    """A model that knows what stands at each position of a text that repeats, and at every third is not sure."""

    def features(self, batch):
        phase = jax.nn.one_hot((batch.tokens.positions_BxS - 1) % 4, 4, dtype=jnp.float32)
        return {"hidden": jnp.where((batch.tokens.positions_BxS % 3 > 0)[..., None], phase, 0.0)}


def test_plain_text_is_read_off_a_learned_table():
    """The pipeline from text to key, on what needs no deciphering."""
    model, encoder = small("bytes")
    found = decipher(model, encoder, DOCUMENTS, layer=0, cipher="identity", **SETTINGS)
    assert found.accuracy.min() > 0.95 and found.accuracy.shape == (23,)
    assert found.key_symbols == 1.0 and found.key_positions == 1.0 and 0.1 < found.majority < 0.25
    assert (found.train_rows, found.test_rows) == (20, 4)  # both rows of a document are on the same side


def test_a_cipher_hides_symbols_from_the_table():
    """What enters says nothing of the true symbol: a probe that found it would have seen the key."""
    model, encoder = small("bytes")
    found = decipher(model, encoder, DOCUMENTS, layer=0, **SETTINGS)
    assert found.accuracy.mean() < 0.35 and found.key_symbols < 0.5


def test_all_places_of_a_symbol_decide_its_key():
    """Where a model knows some places, all the key is recovered, although no place by itself tells it all."""
    _, encoder = small("bytes")
    texts = [b"abcd" * 8] * 6
    found = decipher(Clock(), encoder, texts, symbols=25, rows=4, **TRAINING)
    sure = np.arange(1, 25) % 3 > 0
    assert found.accuracy[sure].min() == 1.0 and found.accuracy[~sure].mean() < 0.6
    assert found.key_symbols == found.key_positions == 1.0


def test_ciphers_are_permutations_of_the_text_alone():
    """A special symbol that is enciphered would end documents; one cipher for all could be learned."""
    vocabulary = small("bytes")[1].vocabulary
    keys = make_ciphers(vocabulary, 3, seed=1)
    assert (np.sort(keys, axis=1) == np.arange(vocabulary.size)[None]).all()
    specials = sorted(vocabulary.specials)
    assert (keys[:, specials] == np.array(specials)[None]).all()
    assert (keys[0] != keys[1]).mean() > 0.9 and (keys[0] != np.arange(vocabulary.size)).mean() > 0.9
    assert (make_ciphers(vocabulary, 1, cipher="identity")[0] == np.arange(vocabulary.size)).all()


def test_a_lexinvariant_model_reads_ciphers_as_plain_text():
    """By construction, with vectors by first occurrence: what makes deciphering a question at all."""
    c = small_config("bytes")
    c.model.interface = C.lexinvariant()
    lexinvariant, encoder = made(c)
    V, symbols = encoder.vocabulary.size, stretches(encoder, DOCUMENTS[:2], 24).symbols
    enciphered = np.take_along_axis(make_ciphers(encoder.vocabulary, 2), symbols, axis=1)
    batches = [next(row_batches(s, encoder.vocabulary, rows=2))[0] for s in (symbols, enciphered)]
    score = jax.jit(lambda model, batch: model.read_out(batch)[0].nll_BxS)
    for model, equal in ((lexinvariant, True), (small("bytes")[0], False)):
        renamed = batches if not equal else [by_first_occurrence(batch, V)[0] for batch in batches]
        plain, cipher = (np.asarray(score(model, jax.tree.map(jnp.asarray, batch))) for batch in renamed)
        assert np.array_equal(plain, cipher) == equal


def test_what_cannot_be_deciphered_is_named():
    """Not one of these may end as a number."""
    model, encoder = small("bytes")
    with pytest.raises(ProbeError, match="no output of layer 3: the model has 0 to 2"):
        decipher(model, encoder, DOCUMENTS, layer=3, **SETTINGS)
    with pytest.raises(ProbeError, match="unknown cipher 'caesar'; there are substitution, identity"):
        decipher(model, encoder, DOCUMENTS, cipher="caesar", **SETTINGS)
    with pytest.raises(ProbeError, match="only one document is long enough"):
        decipher(model, encoder, DOCUMENTS[:1], **SETTINGS)
