"""No distillation at all: the student predicts the text (SFT)."""

from lexitok.distill.losses.loss import Loss
from lexitok.distill.pair import Compared, Pair


def next_symbol() -> Loss:
    """The nats of each of the student's targets; the teacher is not looked at."""

    def compare(pair: Pair) -> Compared:
        return Compared(pair.student.found.nll_BxS, pair.student.tokens.weights_BxS)

    return Loss(compare, vocabularies=False, text=True)
