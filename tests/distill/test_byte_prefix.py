"""Byte-prefix marginals: the reference's example, conservation of mass, and a restatement position by position."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pairs import aligned_batch, model_of, pair_of

from lexitok import config as C
from lexitok.distill.byte_prefixes import OVER, RESIDUAL, byte_prefixes
from lexitok.distill.edit_distance import nearest_by_edits
from lexitok.distill.losses.byte_prefix import byte_prefix, in_cells, masses
from lexitok.text.vocabulary import Vocabulary


def vocabulary(*tokens: bytes) -> Vocabulary:
    V = len(tokens)
    return Vocabulary((*tokens, b""), frozenset({V}), bos=V, eot=V, pad=V)


STUDENT = vocabulary(b"1", b"2", b"20", b"201", b" the", b" t", b"he")
TEACHER = vocabulary(b"1", b"2", b"0", b"201", b" the", b" then", b"h", b"e")
P = np.array([0.05, 0.1, 0.05, 0.2, 0.3, 0.1, 0.15, 0.05, 0.0], np.float32)


def cells_of(target: int, inside: int, p=P, moved: float = 0.0, own: int = 0):
    """The teacher's mass by the student's symbols where its target is `target`, of which there are `inside` bytes."""
    prefixes = byte_prefixes(STUDENT, TEACHER, 16)
    at = jnp.full((1, 1), target), jnp.full((1, 1), inside)
    mass, cell = masses(jnp.asarray(p)[None, None], *at, prefixes)
    head = cell[..., target]
    cells, rest = in_cells(mass, cell, STUDENT.size, jnp.full((1, 1), moved), head, jnp.full((1, 1), own))
    return np.asarray(cells[0, 0]), float(rest[0, 0])


def test_tokens_begin_with_the_longest_symbol():
    """The reference's example: two vocabularies, what each token begins with, and behind how many bytes."""
    prefixes = byte_prefixes(STUDENT, TEACHER, 16)
    assert prefixes.first_VxD[:, 0].tolist() == [0, 1, RESIDUAL, 3, 4, 4, RESIDUAL, RESIDUAL, STUDENT.eot]
    the, then = 4, 5
    assert prefixes.first_VxD[then].tolist() == [4, RESIDUAL, 6, RESIDUAL, RESIDUAL]
    assert prefixes.first_VxD[the, 4] == OVER


def test_masses_are_those_of_the_reference():
    """At a boundary, and inside a token: behind `" t"`, where only two tokens go on, both with `"he"`."""
    cells, rest = cells_of(4, 0)
    np.testing.assert_allclose(cells, [0.05, 0.1, 0, 0.2, 0.4, 0, 0, 0], atol=1e-6)
    assert rest == pytest.approx(0.25, rel=1e-5)
    cells, rest = cells_of(4, 2)
    np.testing.assert_allclose(cells, [0, 0, 0, 0, 0, 0, 1, 0], atol=1e-6)
    assert rest == pytest.approx(0, abs=1e-6)


def test_what_goes_on_takes_its_mass_from_where_it_lay():
    """`"20"` is `"2"` and `"0"` to the teacher: its part of what `"2"` has; mass is conserved, also out of the rest."""
    cells, rest = cells_of(1, 0, moved=0.04, own=2)
    np.testing.assert_allclose(cells[[1, 2]], [0.06, 0.04], atol=1e-6)
    assert cells.sum() + rest == pytest.approx(1, rel=1e-5) and rest == pytest.approx(0.25, rel=1e-5)
    cells, rest = cells_of(6, 0, moved=0.03, own=6)  # `"he"` is `"h"`, which begins with no symbol, and `"e"`
    assert cells[6] == pytest.approx(0.03, rel=1e-4) and rest == pytest.approx(0.22, rel=1e-5)


@pytest.mark.parametrize("student", ["bytes", "others"])
def test_it_is_what_it_says_position_by_position(student):
    """From whole distributions, by strings of bytes in Python."""
    (ours, a), (theirs, b) = model_of(student), model_of("pairs", 1)
    batch = aligned_batch(a, b)
    loss = byte_prefix(C.byte_prefix(chunk=11), a, b)

    @jax.jit
    def of(ours, theirs, batch):
        pair = pair_of(ours, theirs, batch, (a, b))
        compared = loss(pair)
        reads = [side.read for side in (pair.student, pair.teacher)]
        return compared.values, compared.weights, *(jax.nn.log_softmax(r.bound.logits(r.hidden_BxSxD)) for r in reads)

    values, weights, log_q, log_p = jax.device_get(of(ours, theirs, batch))
    batch = jax.device_get(batch)
    spelled = [encoder.vocabulary.token_bytes for encoder in (a, b)]
    compared = 0
    for row in range(len(values)):
        for i, value in expected_values(row, batch, log_q[row], log_p[row], spelled, (a, b)):
            assert weights[row, i] == 1
            np.testing.assert_allclose(values[row, i], value, rtol=2e-4, atol=1e-5)
            compared += 1
    assert compared == weights.sum() > 100


def expected_values(row, batch, log_q, log_p, spelled, encoders):
    """Of each target of the student that is compared, its place and its divergence."""
    (other,) = batch.others
    sides = (batch.tokens, other.alignment.of_first_BxS), (other.tokens, other.alignment.of_second_BxT)
    for span in range(other.alignment.spans):
        at, theirs = (np.flatnonzero(of[row] == span) for _, of in sides)
        if not len(at):
            continue
        targets, tokens = batch.tokens.targets_BxS[row, at], other.tokens.targets_BxS[row, theirs]
        if not spelled[0][targets[0]]:
            yield at[0], of_special(log_q[at[0]], np.exp(log_p[theirs[0]]), spelled, encoders)
            continue
        ends = np.cumsum([len(spelled[1][t]) for t in tokens])
        start = 0
        for i, target in zip(at, targets, strict=True):
            j = int(np.searchsorted(ends, start, side="right"))
            until = int(np.searchsorted(ends, start + len(spelled[0][target])))
            before = spelled[1][tokens[j]][: start - (ends[j] - len(spelled[1][tokens[j]]))]
            chain = np.exp(sum(log_p[theirs[n], tokens[n]] for n in range(j + 1, until + 1))) if until > j else 0.0
            yield i, of_text(log_q[i], np.exp(log_p[theirs[j]]), before, tokens[j], target, chain, spelled, encoders)
            start += len(spelled[0][target])


def of_special(log_q, p, spelled, encoders):
    return of_text(log_q, p, b"", None, None, 0.0, spelled, encoders)


def of_text(log_q, p, before, token, target, chain, spelled, encoders):
    first = {}
    for n, tokens in enumerate(spelled[0]):
        first.setdefault(tokens, n)
    student, teacher = (encoder.vocabulary for encoder in encoders)  # whose `pad` is its `eot`, and whose are two
    roles = {j: i for i, j in {student.pad: teacher.pad, student.bos: teacher.bos, student.eot: teacher.eot}.items()}
    cells, rest, total, place = np.zeros(len(log_q)), 0.0, 0.0, {}
    for n, text in enumerate(spelled[1]):
        if not text:
            place[n] = roles.get(n) if not before else OVER
        elif not text.startswith(before) or text == before:
            place[n] = OVER
        else:
            left = text[len(before) :]
            place[n] = next((first[left[:k]] for k in range(len(left), 0, -1) if left[:k] in first), None)
        total += 0 if place[n] == OVER else p[n]
    for n, cell in place.items():
        if cell is None:
            rest += p[n] / total
        elif cell != OVER:
            cells[cell] += p[n] / total
    if chain:
        moved = chain * p[token] / total
        cells[target] += moved
        cells[place[token]] -= moved
    q = cells / cells.sum()
    there = q > 0
    return (1 - rest) * np.sum(q[there] * (np.log(q[there]) - log_q[there]))


def test_white_space_that_is_divided_otherwise_is_left_out():
    """Only what is in spans where one of both has an end beside it."""
    (ours, a), (theirs, b) = model_of("others"), model_of("pairs", 1)
    batch = aligned_batch(a, b)

    @jax.jit
    def weights(ours, theirs, batch):
        pair = pair_of(ours, theirs, batch, (a, b))
        return [byte_prefix(C.byte_prefix(mask_whitespace=mask), a, b)(pair).weights for mask in (False, True)]

    every, clear = jax.device_get(weights(ours, theirs, batch))
    assert (clear <= every).all() and 0 < (every - clear).sum() < 0.5 * every.sum()
    batch = jax.device_get(batch)
    tokens = a.vocabulary.token_bytes
    for row, i in np.argwhere(every > clear).tolist():
        of = batch.others[0].alignment.of_first_BxS[row]
        text = b"".join(tokens[t] for t in batch.tokens.targets_BxS[row, of == of[i]])
        assert b" " in text or b"\n" in text


def test_the_nearest_token_takes_the_fewest_edits():
    """What both have is itself, specials go by role, and of equally near ones the first by its bytes is taken."""
    student = vocabulary(b"pack", b"the", b"a", b"in", b"x")
    teacher = vocabulary(b"the", b"packs", b"them", b"zz", b"on")
    found = nearest_by_edits(student, teacher)
    assert found.tolist() == [1, 0, 1, 2, 3, student.eot]  # of `a`, `in` and `x`, all as far from `zz`: `a`
