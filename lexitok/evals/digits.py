"""Digits: whether a model still copies and adds numbers, which a new tokenizer breaks first (`lexitok.data.digits`)."""

import dataclasses
import math
from typing import Any

import numpy as np

from lexitok.data.digits import TASKS
from lexitok.data.encoders import Encoder
from lexitok.evals.text_rows import ProbeError
from lexitok.inference.generate import generate

_LONGEST = 12  # bytes of an answer


@dataclasses.dataclass(frozen=True)
class DigitScore:
    """Answers to one task.

    Attributes:
      accuracy: answers that are right as a whole.
      error: its standard error over questions.
      questions: how many.
    """

    accuracy: float
    error: float
    questions: int


def digit_questions(task: str, questions: int, *, shots: int = 8, seed: int = 0) -> list[tuple[bytes, bytes]]:
    """Prompts with their answers: lines of the task, then one without its answer. The same for every model.

    Raises:
      ProbeError: there is no such task.
    """
    if task not in TASKS:
        raise ProbeError(f"unknown task '{task}' on digits; there are {', '.join(TASKS)}")
    rng, found = np.random.default_rng([seed, list(TASKS).index(task)]), []
    for _ in range(questions):
        shown = "".join("".join(TASKS[task](rng)) + "\n" for _ in range(shots))
        asked, answer = TASKS[task](rng)
        found.append(((shown + asked).encode(), answer.encode()))
    return found


def digit_accuracy(
    model: Any, encoder: Encoder, task: str, *, questions: int = 100, shots: int = 8, seed: int = 0
) -> DigitScore:
    """The questions that a model answers right when it takes the most likely symbol each time.

    An answer counts if its bytes up to the end of the line are those asked for, whatever tokens spell them.

    Args:
      model, encoder: of `lexitok.inference.generate.generate`.
      task: of `lexitok.data.digits.TASKS`.
      questions, shots, seed: as of `digit_questions`; all are answered at once.

    Raises:
      ProbeError: there is no such task, or no question.
    """
    if questions < 1:
        raise ProbeError(f"{questions} questions say nothing: ask 1 at least")
    asked = digit_questions(task, questions, shots=shots, seed=seed)
    prompts = [prompt for prompt, _ in asked]
    done = generate(model, encoder, prompts, max_bytes=_LONGEST, temperature=0.0, stop=[b"\n"])
    right = [text.rstrip() == answer for text, (_, answer) in zip(done, asked, strict=True)]
    accuracy = float(np.mean(right))
    return DigitScore(accuracy, math.sqrt(accuracy * (1 - accuracy) / questions), questions)
