"""The chat template of a transferred model, and the specials that it names.

A model knows the specials that it was trained with; under those of another chat its answers suffer (ALM, arXiv
2503.20083, appendix: 46.4 where they are exchanged). So by default the source's template stays, and so do its specials.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lexitok.hub.chat_template import gguf_template, read_template
from lexitok.hub.stored_tensors import HubError
from lexitok.text.added_specials import with_specials
from lexitok.text.chat_template import ChatTemplateError, cut_at_specials, named_in, renamed, render
from lexitok.text.matching import Match
from lexitok.text.roles import SPELLINGS
from lexitok.text.vocabulary import Tokenizer, Vocabulary
from lexitok.transfer.errors import TransferError

SOURCE, TARGET = "source", "target"
# What these roles have stands for turns; spellings of other roles (`<think>`, `<tool_call>`) are text to many models.
_FRAMES = (
    *("bos", "eos", "pad", "turn_start", "turn_end", "header_start", "header_end"),
    *("system", "system_end", "user", "user_end", "assistant"),
)
_FRAMING = frozenset(spelling for role in _FRAMES for spelling in SPELLINGS[role])


@dataclasses.dataclass(frozen=True)
class Chat:
    """What a transferred model chats by.

    Attributes:
      choice: `source`, `target`, or the file that the template is of.
      template: None: it has none.
      target: the new tokenizer, with the specials that were added for the template.
      added: their spellings.
      renamed: spellings of the template that were replaced, with those of the same role of the new tokenizer.
    """

    choice: str
    template: str | None
    target: Tokenizer
    added: tuple[str, ...] = ()
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)


def choose_chat(
    choice: str, files_of_source: Path, files_of_target: Path, source: Vocabulary, target: Tokenizer
) -> Chat:
    """The chat template of a choice, and a tokenizer that has all specials that it names.

    Args:
      choice: `source`: the template of the old tokenizer; of its specials those that the new one lacks are added to
        it. `target`: that of the new one. Else a file, in which specials that the new tokenizer lacks are replaced by
        its own of the same role.
      files_of_source: the directory with the files of the old tokenizer; it need not be there.
      files_of_target: the new tokenizer's file or directory.
      source: the old vocabulary.
      target: the new tokenizer.

    Raises:
      TransferError: there is no such template, or it names a special that the new tokenizer has not, and that is not
        added or replaced; names it.
    """
    try:
        if choice == SOURCE:
            return _kept(read_template(files_of_source), source, target)
        if choice == TARGET:
            found = read_template(files_of_target) if files_of_target.is_dir() else gguf_template(files_of_target)
            if found is None:
                raise TransferError(f"{files_of_target} comes with no chat template: name a file, or keep the source's")
            return _fitted(TARGET, found, source, target, {})
        if not Path(choice).is_file():
            raise TransferError(f"no chat template at {choice}; it may be {SOURCE}, {TARGET} or a file")
        template = Path(choice).read_text(encoding="utf-8")
        return _fitted(choice, template, source, target, _by_role(source, target.vocabulary))
    except (HubError, ChatTemplateError, UnicodeDecodeError) as error:
        raise TransferError(f"the chat template ({choice}): {error}") from error


def _kept(template: str | None, source: Vocabulary, target: Tokenizer) -> Chat:
    if template is None:
        return Chat(SOURCE, None, target)
    there = set(target.vocabulary.names.values())
    missing = [name for name in named_in(template, source.names.values()) if name not in there]
    try:
        return Chat(SOURCE, template, with_specials(target, missing), tuple(missing))
    except ValueError as error:
        raise TransferError(f"the source's chat template needs its specials: {error}") from error


def _fitted(choice: str, template: str, source: Vocabulary, target: Tokenizer, instead: Mapping[str, str]) -> Chat:
    """The template with specials replaced, if the target then has all that it names.

    Specials are those of either tokenizer, and all spellings that frame turns.
    """
    there = set(target.vocabulary.names.values())
    texts = {token.decode(errors="replace") for token in target.vocabulary.token_bytes}
    named = named_in(template, {*source.names.values(), *there, *_FRAMING})
    lacking = [name for name in named if name not in there and name not in texts]
    if unknown := [name for name in lacking if name not in instead]:
        raise TransferError(
            f"the chat template ({choice}) names the special '{unknown[0]}', and the new tokenizer has neither it nor "
            "one of its role"
        )
    swapped = {name: instead[name] for name in lacking}
    return Chat(choice, renamed(template, swapped), target, renamed=swapped)


def _by_role(source: Vocabulary, target: Vocabulary) -> dict[str, str]:
    """From spellings of specials to the target's of the same role."""
    roles = {spelling: role for role, spellings in SPELLINGS.items() for spelling in spellings}
    roles |= {source.names[i]: role for role, i in source.roles.items() if i in source.names}
    names = {role: target.names[i] for role, i in target.roles.items() if i in target.names}
    return {spelling: names[role] for spelling, role in roles.items() if role in names}


def check_chat(chat: Chat, source: Tokenizer, target: Tokenizer, match: Match) -> None:
    """Renders two turns, and reads them in ids; under the source's template with both tokenizers.

    Raises:
      TransferError: it cannot be rendered; text of it does not come back; or a special is another than before.
    """
    if chat.template is None:
        return
    theirs = _read(chat.template, target)
    if chat.choice != SOURCE:
        return
    ours = _read(chat.template, source)
    if len(ours) != len(theirs):
        raise TransferError(f"the chat template has {len(ours) // 2} specials before, and {len(theirs) // 2} now")
    for before, now in zip(ours, theirs, strict=True):
        same = before == now if isinstance(now, bytes) else match.ids_V[now] == before
        if not same:
            what = now if isinstance(now, bytes) else target.vocabulary.names.get(now, now)
            raise TransferError(f"under the chat template {what!r} is not what it was: id or text {before!r} before")


def _read(template: str, tokenizer: Tokenizer) -> list[bytes | int]:
    """What the template renders: bytes of text and ids of specials in turn."""
    vocabulary = tokenizer.vocabulary
    ids = {name: i for i, name in vocabulary.names.items()}
    try:
        pieces = cut_at_specials(render(template, vocabulary), ids)
    except ChatTemplateError as error:
        raise TransferError(str(error)) from error
    found: list[bytes | int] = []
    for number, piece in enumerate(pieces):
        found.append(ids[piece] if number % 2 else piece.encode())
        if not number % 2:
            encoding = tokenizer.encode(piece.encode())
            text = vocabulary.decode(encoding.ids)
            if not encoding.lossy and text != piece.encode():
                raise TransferError(f"under the chat template {piece!r} comes back as {text!r}")
    return found


def generation_config(files_of_source: Path, match: Match, target: Vocabulary) -> str | None:
    """The source's `generation_config.json` with the new ids of its specials; None: it has none.

    Raises:
      TransferError: it cannot be read.
    """
    file = files_of_source / "generation_config.json"
    if not file.is_file():
        return None
    specials = np.array(sorted(target.specials))
    now = {int(match.ids_V[i]): int(i) for i in specials[::-1] if match.ids_V[i] >= 0}
    try:
        content = json.loads(file.read_bytes())
        for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
            said = content.get(key)
            ids = [now[i] for i in (said if isinstance(said, list) else [said]) if i in now]
            content.pop(key, None)
            if ids:
                content[key] = ids if isinstance(said, list) else ids[0]
    except (ValueError, AttributeError, TypeError) as error:
        raise TransferError(f"{file}: not a generation config: {error!r}") from error
    return json.dumps(content, indent=2) + "\n"
