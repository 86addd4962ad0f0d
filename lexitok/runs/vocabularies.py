"""Whether the ids of two runs stand for the same: a table that is read by another vocabulary's ids is noise."""

import itertools
from collections.abc import Iterable, Sequence

from lexitok.data.encoders import Encoder, unit_tokens
from lexitok.runs.checkpoints.files import RunRecord
from lexitok.runs.load import encoder_of

_INTERFACE = "interface"  # the part of a model whose rows are the symbols of a vocabulary
_UNIT_TOKENS = ("additions", "tokens")  # the part whose rows are the tokens that units are made of


class VocabularyMismatchError(ValueError):
    """Parameters of another vocabulary than the run's; the message names the part, and what differs."""


def check_same_vocabulary(there: RunRecord, here: Encoder, parameters: Iterable[str], what: str) -> None:
    """Checks that parameters that are taken from another run are of the symbols that they will be read by.

    Symbols are compared by what they stand for (bytes, specials, ends of documents), not by the files that they are
    kept in. Parameters without rows of symbols are anyone's.

    Args:
      there: record of the run that they are taken from.
      here: of the run that takes them.
      parameters: their dotted names, there or here.
      what: what errors call the taking.

    Raises:
      VocabularyMismatchError: they have rows of symbols, and those are others.
    """
    parts = [name.split(".") for name in parameters]
    if any(_INTERFACE in name for name in parts):
        ours, theirs = here.vocabulary, encoder_of(there).vocabulary
        if ours.fingerprint != theirs.fingerprint:
            raise VocabularyMismatchError(_message(what, "an interface", theirs.token_bytes, ours.token_bytes))
    if any(_UNIT_TOKENS in itertools.pairwise(name) for name in parts):
        ours, theirs = unit_tokens(here), unit_tokens(encoder_of(there))
        if ours != theirs:
            raise VocabularyMismatchError(_message(what, "vectors of tokens", theirs, ours))


def _message(what: str, part: str, theirs: Sequence[bytes], ours: Sequence[bytes]) -> str:
    at = next((i for i, (a, b) in enumerate(zip(theirs, ours, strict=False)) if a != b), None)
    if at is not None:
        first = f"id {at} is {theirs[at]!r} there and {ours[at]!r} here"
    elif len(theirs) != len(ours):
        first = f"{len(theirs)} ids there and {len(ours)} here"
    else:
        first = "their specials differ"
    return (
        f"{what} takes {part} of another vocabulary: {first}. Use that run's vocabulary (text.vocabulary.path), or "
        "take a part that has none"
    )
