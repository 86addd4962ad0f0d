"""Questions on digits are the same for all models, and an answer counts by its bytes."""

import re

import numpy as np
import pytest
from samples import small

from lexitok import data, evals
from lexitok.data.digits import LINES, read_digits
from lexitok.data.sources import open_source
from lexitok.evals.digits import digit_accuracy, digit_questions
from lexitok.evals.text_rows import ProbeError

MODEL = small("bytes")


def _right(line: str) -> bool:
    if copied := re.fullmatch(r"copy (\d{1,5}) : (\d+)", line):
        return copied[1] == copied[2]
    added = re.fullmatch(r"(\d{1,3}) \+ (\d{1,3}) = (\d+)", line)
    return added is not None and int(added[1]) + int(added[2]) == int(added[3])


def test_every_line_is_true(tmp_path, monkeypatch):
    monkeypatch.setattr(data.digits, "DOCUMENTS", 40)
    text = next(read_digits()).data.decode()
    lines = text.splitlines()
    assert len(lines) == LINES and all(map(_right, lines))
    assert {line[0] == "c" for line in lines} == {True, False}  # of both tasks
    assert open_source("digits", "validation", cache=tmp_path)[0].data.count(b"\n") == LINES


@pytest.mark.parametrize("task", ["copying", "adding"])
def test_a_question_is_a_document_without_its_last_answer(task):
    prompt, answer = digit_questions(task, 3)[2]
    assert all(map(_right, (prompt + answer).decode().splitlines()))
    assert digit_questions(task, 3) == digit_questions(task, 5)[:3] != digit_questions(task, 3, seed=1)


def test_answers_count_by_their_bytes(monkeypatch):
    """Of three questions one is answered, one with too much, one with another number."""

    def answered(model, encoder, prompts, **settings):
        (_, a), (_, b), _ = digit_questions("adding", 3)
        return [a, b + b"0", b" -1"]

    monkeypatch.setattr(evals.digits, "generate", answered)
    score = digit_accuracy(*MODEL, "adding", questions=3)
    np.testing.assert_allclose((score.accuracy, score.error), (1 / 3, (2 / 9 / 3) ** 0.5))


def test_an_untrained_model_knows_no_number():
    assert digit_accuracy(*MODEL, "copying", questions=2, shots=1).accuracy < 1


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(ProbeError, match="unknown task 'dividing'"):
        digit_questions("dividing", 3)
    with pytest.raises(ProbeError, match="0 questions"):
        digit_accuracy(*MODEL, "adding", questions=0)
