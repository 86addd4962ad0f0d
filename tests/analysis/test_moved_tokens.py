"""What tokens cost after a transfer adds up to what the text costs, and a row that is broken is found where it is."""

import dataclasses

import jax
import numpy as np
import pytest
from samples import made
from tiny_runs import DOCUMENTS, tokenizer_file

from lexitok.analysis.moved_tokens import (
    TokenCosts,
    classes_table,
    costs_figure,
    made_tokens,
    token_costs,
    tokens_table,
)
from lexitok.analysis.subjects import Subject
from lexitok.config.files import load_config
from lexitok.data.encoders import SubwordEncoder
from lexitok.evals import evaluate
from lexitok.nn.parameters import parameter
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.vocabulary import Vocabulary
from lexitok.transfer.methods import make_method
from lexitok.transfer.model import transfer
from lexitok.transfer.provenance import KINDS

WINDOW = {"rows": 4, "symbols": 64, "overlap": 0.5}


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """A model of random parameters before and after a transfer, and the provenance of its rows as lines."""
    root = tmp_path_factory.mktemp("moved")
    source, target = (SentencePieceTokenizer.load(tokenizer_file(root, "bpe", size)) for size in (320, 360))
    sizes = [f"model.backbone.{axis}" for axis in ("D=16", "L=1", "H=2", "K=2", "N=8", "F=16")]
    model, encoder = made(load_config("configs/subword.py:tiny", [*sizes, "model.interface.tied=no"]), source)
    done = transfer(model, source, target, method_in=make_method("mean"), method_out=make_method("first"))
    lines = list(done.tables.entering.provenance.lines(source.vocabulary, target.vocabulary))
    return Subject("before", model, encoder), Subject("now", done.model, SubwordEncoder(target)), lines


def bits(subject):
    found = evaluate(subject.model, subject.encoder, DOCUMENTS, units=64, **WINDOW).documents
    return sum(document.nats for document in found) / np.log(2)


def test_costs_add_up(moved):
    """Every bit that the text costs more is one of some token's, and each token is counted as often as it is there."""
    before, now, lines = moved
    costs = token_costs(before, now, DOCUMENTS, **WINDOW)
    spent = np.nansum(costs.own_V * costs.count_V)
    assert spent == pytest.approx(bits(now) - bits(before), rel=1e-4) and abs(spent) > 10
    ids = np.concatenate([now.encoder.encode(document).symbols[:-1] for document in DOCUMENTS])
    np.testing.assert_array_equal(costs.count_V, np.bincount(ids, minlength=360))
    assert len(made_tokens(costs, lines)) > 5


def test_nothing_moved_costs_nothing(moved):
    before = moved[0]
    costs = token_costs(before, before, DOCUMENTS, **WINDOW)
    np.testing.assert_allclose(costs.own_V[costs.count_V > 0], 0, atol=1e-5)
    assert np.isnan(costs.own_V[costs.count_V == 0]).all() and np.isnan(costs.after_V[costs.count_V == 0]).all()


@pytest.mark.parametrize("side", ["own", "after"])
def test_a_broken_row_is_found(moved, side):
    """Where symbols leave, it is the token's own span that gets dear; where they enter, the one after it."""
    before = moved[0]
    ids = np.concatenate([before.encoder.encode(document).symbols[:-1] for document in DOCUMENTS])
    token = int(np.bincount(ids).argmax())
    name = "head" if side == "own" else "table"
    model = jax.tree.map(lambda leaf: leaf, before.model)
    row = getattr(model.interface, name)[...]
    setattr(model.interface, name, parameter("V D", row.at[token].set(0 if side == "own" else -5 * row[token])))
    broken = dataclasses.replace(before, model=model)
    costs = token_costs(before, broken, DOCUMENTS, **WINDOW)
    own, after = (np.nan_to_num(of) for of in (costs.own_V, costs.after_V))
    assert np.abs(own if side == "own" else after).argmax() == token


def test_tables_say_what_moved_badly():
    """By hand: one kept row and three made ones, of which one is not in the text."""
    lines = [
        {"id": i, "token": token, "kind": kind, "from": [[7, "a|", 0.5], [8, " b\n", 0.5]]}
        for i, (token, kind) in enumerate([("12", "copied"), ("ab", "made"), (" c", "made"), ("xy", "made")])
    ]
    costs = TokenCosts(
        np.array([4, 10, 5, 0]), np.array([0.5, 2.0, -1.0, np.nan]), np.array([0.0, np.nan, 0.5, np.nan])
    )

    vocabulary = Vocabulary((b"12", b"ab", b" c", b"xy", b""), frozenset({4}), bos=4, eot=4, pad=4)
    table = classes_table(costs, lines, vocabulary).splitlines()
    assert table[2:] == [
        "| made | English letters | 2 | 15 | +1.00 | +0.50 | 88% |",
        "| copied | digits | 1 | 4 | +0.50 | +0.00 | 12% |",
    ]
    worst, best = tokens_table(costs, lines, count=1).splitlines()[2:]
    assert worst == "| `ab` | 10 | +2.00 | +nan | `a\\|` 0.50 `␣b↵` 0.50 |" and best.startswith("| `␣c` | 5 | -1.00")
    assert made_tokens(costs, lines, 6).tolist() == [1]
    axes = costs_figure(costs, lines, least=1).axes[0]
    assert [len(of.get_offsets()) for of in axes.collections] == [1, 1] and set(KINDS) >= {"copied", "made"}


def test_no_documents(moved):
    with pytest.raises(ValueError, match="no documents"):
        token_costs(*moved[:2], [])
