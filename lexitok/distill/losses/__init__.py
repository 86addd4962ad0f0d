"""Losses between a student and a teacher of another tokenizer, by name. A new one is a file and a line here."""

from collections.abc import Callable

from ml_collections import ConfigDict

from lexitok.data.encoders import Encoder
from lexitok.distill.losses.alm import alm
from lexitok.distill.losses.byte_prefix import byte_prefix
from lexitok.distill.losses.dskd import dskd
from lexitok.distill.losses.gold import gold
from lexitok.distill.losses.hidden_states import hidden_states
from lexitok.distill.losses.hybrid import hybrid
from lexitok.distill.losses.loss import Loss
from lexitok.distill.losses.mined import mined
from lexitok.distill.losses.next_symbol import next_symbol
from lexitok.distill.losses.one_to_one import one_to_one
from lexitok.distill.losses.projected import projected
from lexitok.distill.losses.simct import simct
from lexitok.distill.losses.uld import uld

__all__ = ["LOSSES", "Loss", "make_loss"]

LOSSES: dict[str, Callable[[ConfigDict, Encoder, Encoder], Loss]] = {
    "next_symbol": lambda c, student, teacher: next_symbol(),
    "alm": lambda c, student, teacher: alm(c),
    "one_to_one": one_to_one,
    "byte_prefix": byte_prefix,
    "projected": projected,
    "hybrid": hybrid,
    "gold": gold,
    "simct": simct,
    "mined": mined,
    "dskd": lambda c, student, teacher: dskd(c),
    "uld": lambda c, student, teacher: uld(c),
    "hidden_states": lambda c, student, teacher: hidden_states(c),
}


def make_loss(c: ConfigDict, student: Encoder, teacher: Encoder) -> Loss:
    """The loss that a section describes.

    Args:
      c: the section; `c.kind` is one of `LOSSES`.
      student, teacher: the encoders.

    Raises:
      ValueError: an unknown kind, or settings that its loss refuses.
    """
    if c.kind not in LOSSES:
        raise ValueError(f"unknown loss '{c.kind}'; there are {', '.join(LOSSES)}")
    return LOSSES[c.kind](c, student, teacher)
