"""What a transfer has written, read back: it has to be what was made, and to write text."""

import logging
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lexitok.data.encoders import Encoder
from lexitok.hub.chat_template import read_template
from lexitok.inference.decoder import Decoder
from lexitok.inference.prompts import prompt_symbols
from lexitok.parameter_names import names, to_dicts
from lexitok.runs.load import load_model
from lexitok.text.vocabulary import Tokenizer
from lexitok.transfer.errors import TransferError
from lexitok.transfer.rows import NewTables
from lexitok.transfer.templates import Chat, check_chat

log = logging.getLogger(__name__)
_WRITES = 20  # tokens


def check_written(
    folder: Path, files: Path, model: Any, source: Tokenizer, target: Tokenizer, chat: Chat, tables: NewTables
) -> None:
    """Reads a run and holds it against what was to be written.

    Args:
      folder: of the run.
      files: its folder with the tokenizer's own files, which need not be there.
      model, target, chat: what was written.
      source: the tokenizer from before.
      tables: what became of the rows.

    Raises:
      TransferError: rows, specials or template are not what was to be written, or do not fit each other.
    """
    again, encoder = load_model(folder)
    vocabulary, wanted = encoder.vocabulary, target.vocabulary
    if vocabulary.fingerprint != wanted.fingerprint:
        raise TransferError("the tokenizer that was written is another than the one that was given")
    if dict(vocabulary.names) != dict(wanted.names) or dict(vocabulary.roles) != dict(wanted.roles):
        raise TransferError("the specials that were written are called otherwise, or are for something else")
    expected = names(to_dicts(model))
    for name, x in names(to_dicts(again)).items():
        if not np.array_equal(np.asarray(jax.device_get(x)), np.asarray(jax.device_get(expected[name]), x.dtype)):
            raise TransferError(f"parameter '{name}' is not what was written")
    _check_rows(again, wanted.size)
    if read_template(files) != chat.template:
        raise TransferError("the chat template that was written is another than the one that was chosen")
    check_chat(chat, source, encoder.tokenizer, tables.match)  # type: ignore[attr-defined]
    written = _greedy(again, encoder, b"The ", _WRITES)
    log.info("the transferred model writes %r", vocabulary.decode(written))


def _check_rows(model: Any, size: int) -> None:
    for what in ("table", "head"):
        rows = getattr(model.interface, what, None)
        if rows is not None and rows[...].shape[0] != size:
            raise TransferError(f"the {what} has {rows[...].shape[0]} rows, and the new tokenizer {size} ids")


def _greedy(model: Any, encoder: Encoder, prompt: bytes, count: int) -> list[int]:
    """The most likely tokens, on and on, whatever ends a text; every one is finite and has an id of the vocabulary."""
    read = prompt_symbols(encoder, prompt)
    decoder = Decoder(model, encoder, 1, len(read) + count)
    written: list[int] = []
    for _ in range(count):
        decoder.read([read])
        best = int(jnp.argmax(decoder.logits_BxV[0]))
        if not np.isfinite(float(decoder.logits_BxV[0, best])):
            raise TransferError(f"after {len(written)} tokens the transferred model's logits are not finite")
        if best >= encoder.vocabulary.size:
            raise TransferError(f"the transferred model writes the id {best}, which the new tokenizer has not")
        written.append(best)
        read = [best]
    return written
