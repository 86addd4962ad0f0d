"""The sampler of tokenizers: the best substrings of the last texts, the same for a seed, and exact for any bytes."""

import dataclasses
import json
import math
from collections import Counter

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.text.drawn.sampler import SamplerSettings, TokenizerSampler
from lexitok.text.drawn.text_window import TextWindow
from lexitok.text.drawn.words import count_words, word_splitter
from lexitok.text.patterns import GPT2_MARKS

PLAIN = SamplerSettings(size=300, noise=0.0, whitespace=3)
FIXED = 3 + 256 + 3 * 2  # specials, bytes, runs of 2 and 3
TEXT = "the cat, the hat;  the \u0915\u093e\u0915 \u0915\u093e\u0915\n\nthat's Größe".encode()
texts = st.lists(st.text("abß \n", max_size=12).map(str.encode), max_size=5)


def sampler(some=(TEXT,), base=PLAIN, **changes):
    made = TokenizerSampler(dataclasses.replace(base, **changes))
    made.add(some)
    return made


def parts(tokenizer):
    logs = tokenizer.log_probabilities
    return dict(zip(tokenizer.vocabulary.token_bytes[3 : 3 + len(logs)], logs.tolist(), strict=True))


def scores_by_hand(data, longest=15):
    """Bytes times count of all substrings of words, from the definition."""
    found = Counter()
    for word in regex.findall(GPT2_MARKS, data.decode()):
        for i in range(len(word)):
            for j in range(i + 1, len(word) + 1):
                if len(token := word[i:j].encode()) <= longest:
                    found[token] += len(token)
    return found


def assert_same(one, other):
    assert one.vocabulary.fingerprint == other.vocabulary.fingerprint
    np.testing.assert_array_equal(one.log_probabilities, other.log_probabilities)


def test_tokens_are_the_best_substrings():
    """Without noise all is said by the definition: which tokens, in which order, with which probabilities."""
    tokenizer, scores = sampler().sample(), scores_by_hand(TEXT)
    runs = set(PLAIN.whitespace_runs)
    longer = [token for token in scores if len(token) > 1 and token not in runs]
    assert len(longer) > 300 - FIXED  # there is something to choose
    best = sorted(longer, key=lambda token: (-scores[token], token))[: 300 - FIXED]
    assert list(tokenizer.vocabulary.token_bytes[FIXED:]) == best
    total, found = sum(scores.values()), parts(tokenizer)
    least = math.log(scores[best[-1]] / total)
    for token, log in found.items():
        own = math.log(scores[token] / total) if scores[token] else least
        assert log == pytest.approx(0 if token in runs else max(own, least), abs=2**-12)
    assert set(runs) <= set(found) and found[b"\xff"] == pytest.approx(least, abs=2**-12)


@given(st.text("ab'srl 1\u0301\u0915\u093e\n\t\u00a0.,世"))
def test_words_are_those_of_the_pattern(text):
    """The library's engine for patterns is another than the one that the pattern was written for."""
    assert count_words(text.encode(), word_splitter(GPT2_MARKS)) == Counter(
        map(str.encode, regex.findall(GPT2_MARKS, text))
    )


def test_characters_that_are_cut_are_in_no_word():
    """A window of a stream may begin and end within a character; half of one would be a token that no text has."""
    data = "größer".encode()
    found = count_words(data[3:-1] + b" \xff\xfeab", word_splitter(GPT2_MARKS))
    assert found == {"ße".encode(): 1, b" ": 1, b"ab": 1}


@given(texts, st.integers(1, 25), st.integers(1, 3))
def test_the_window_forgets(some, most, at_once):
    """Counts are those of the last texts that fit, as if there had been no others, and no text waits to be read."""
    place = {"pattern": GPT2_MARKS, "longest": 7, "stride": 1}
    window = TextWindow(most, **place)
    for at in range(0, len(some), at_once):
        window.add(some[at : at + at_once])
    kept = window.texts
    assert kept == tuple(some[len(some) - len(kept) :])
    assert sum(map(len, kept)) <= most or len(kept) == 1
    left_out = some[: len(some) - len(kept)]
    assert not left_out or sum(map(len, kept)) + len(left_out[-1]) > most
    fresh = TextWindow(10**6, **place)
    fresh.add(kept)
    np.testing.assert_array_equal(window.counts.rows, fresh.counts.rows)
    np.testing.assert_array_equal(window.counts.counts, fresh.counts.counts)


def test_a_seed_says_which_tokenizers():
    """A run has to be repeatable; and each step has another tokenizer, or there is nothing to learn from."""
    noisy = {"noise": 1e-3, "noise_spread": 1.0}
    one, two, other = (sampler(**noisy, seed=seed) for seed in (1, 1, 2))
    first, second = one.sample(), one.sample()
    assert_same(first, two.sample())
    assert_same(second, two.sample())
    assert parts(first).keys() != parts(second).keys()
    assert parts(first).keys() != parts(other.sample()).keys()


def test_order_within_the_window_does_not_matter():
    """The substrings follow from what the window holds; how it came there must not show."""
    some = [b"one two", TEXT, b"three one"]
    assert_same(sampler(some, noise=1e-3).sample(), sampler(some[::-1], noise=1e-3).sample())


def test_noise_has_the_deviation_that_is_asked_for():
    """Its scale is the one knob of the sampler: a factor off would not show anywhere else."""
    data = " ".join(f"{i:05x}" for i in range(3000)).encode()
    plain = parts(sampler([data], size=30_000).sample())
    noisy = parts(sampler([data], size=30_000, noise=2e-5, noise_spread=0.0).sample())
    likely = [token for token, log in plain.items() if len(token) > 1 and -9 < log < 0]  # no noise takes them to zero
    added = [math.exp(noisy[token]) - math.exp(plain[token]) for token in likely]
    assert len(added) > 200
    assert np.std(added) == pytest.approx(2e-5, rel=0.15)
    assert np.mean(added) == pytest.approx(0, abs=5e-6)


def test_resumed_equals_uninterrupted():
    """A run that is stopped goes on with the tokenizers it would have had."""
    through = sampler([b"first text ", TEXT], window_bytes=100, noise=1e-3)
    through.sample()
    resumed = sampler([b"something else"], window_bytes=100, noise=1e-3)
    resumed.restore(through.state())
    for new in ([], [b"another text \xff"], [TEXT * 2]):
        for one in (through, resumed):
            one.add(new)
        assert_same(through.sample(), resumed.sample())


def test_a_state_of_something_else_is_refused():
    """And leaves the sampler as it was."""
    made = sampler()
    expected = sampler().sample()
    with pytest.raises(ValueError, match="other settings \\(seed, stride\\)"):
        made.restore(sampler(seed=3, stride=4).state())
    damaged = json.loads(made.state()) | {"texts": ["?"]}
    for bad in (b"", b"[]", b"{}", json.dumps(damaged).encode()):
        with pytest.raises(ValueError, match="not the state of a tokenizer sampler"):
            made.restore(bad)
    assert_same(made.sample(), expected)


@settings(max_examples=25)
@given(st.lists(st.binary(max_size=30), max_size=4), st.sampled_from((0.0, 1e-2)))
def test_any_bytes_are_exact_in_what_is_drawn(some, noise):
    """Whatever the window held, and when it held nothing: every tokenizer writes every text, and fills the model."""
    tokenizer = sampler(some, noise=noise).sample()
    assert tokenizer.vocabulary.size == PLAIN.size
    for data in (*some, TEXT, bytes(range(256))):
        assert tokenizer.vocabulary.decode(tokenizer.encode(data).ids) == data


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"size": FIXED - 1}, "size is 264; .* alone are 265 ids"),
        ({"noise": -1.0}, "noise -1.0"),
        ({"noise_spread": math.nan}, "noise_spread nan"),
        ({"seed": -1}, "seed is -1"),
        ({"longest": 64}, "1 to 63"),
        ({"stride": 0}, "stride of 0"),
        ({"window_bytes": 0}, "window of 0 bytes"),
        ({"pattern": "("}, "no regular expression"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    """At the start, not at the first step."""
    with pytest.raises(ValueError, match=message):
        sampler([], **changes)
