"""Whether the ids of two runs stand for the same: a table that is read by another vocabulary's ids is noise."""

import itertools
from collections.abc import Iterable, Sequence

from ml_collections import ConfigDict

from lexitok.data.encoders import Encoder, unit_tokens
from lexitok.interfaces import row_vocabulary
from lexitok.runs.checkpoints.files import RunRecord
from lexitok.runs.load import encoder_of
from lexitok.text.vocabulary import Vocabulary

_INTERFACE = "interface"  # the part of a model whose rows are the symbols of a vocabulary
_UNIT_TOKENS = ("additions", "tokens")  # the part whose rows are the tokens that units are made of


class VocabularyMismatchError(ValueError):
    """Parameters of another vocabulary than the run's; the message names the part, and what differs."""


def check_same_vocabulary(
    there: RunRecord, here: tuple[ConfigDict, Encoder], parameters: Iterable[str], what: str
) -> None:
    """Checks that parameters that are taken from another run are of the symbols that they will be read by.

    Symbols are compared by what they stand for (bytes, specials, ends of documents), not by the files that they are
    kept in. Parameters without rows of symbols are anyone's. A hypernetwork's rows are of its base model's tokens, and
    the text's may be any.

    Args:
      there: record of the run that they are taken from.
      here: config and encoder of the run that takes them.
      parameters: their dotted names, there or here.
      what: what errors call the taking.

    Raises:
      VocabularyMismatchError: they have rows of symbols, and those are others.
    """
    parts = [name.split(".") for name in parameters]
    if any(_INTERFACE in name for name in parts):
        ours, theirs = _rows(*here), _rows(there.config, encoder_of(there))
        if ours.fingerprint != theirs.fingerprint:
            raise VocabularyMismatchError(_message(what, "an interface", theirs.token_bytes, ours.token_bytes))
    if any(_UNIT_TOKENS in itertools.pairwise(name) for name in parts):
        ours, theirs = unit_tokens(here[1]), unit_tokens(encoder_of(there))
        if ours != theirs:
            raise VocabularyMismatchError(_message(what, "vectors of tokens", theirs, ours))


def _rows(config: ConfigDict, encoder: Encoder) -> Vocabulary:
    """The vocabulary that the rows of a model's interface are of."""
    section = config.model.get("interface")
    return encoder.vocabulary if section is None else row_vocabulary(section, encoder.vocabulary)


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
