"""Chat templates: what they render, and which specials they name."""

import datetime
import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

from lexitok.text.vocabulary import Vocabulary

VARIABLES = {"bos": "bos_token", "eos": "eos_token", "pad": "pad_token", "unknown": "unk_token"}
TWO_TURNS = (
    {"role": "user", "content": "How many legs has a spider?"},
    {"role": "assistant", "content": "Eight."},
    {"role": "user", "content": "And two of them?"},
)


class ChatTemplateError(ValueError):
    """A template that is none, or that cannot be rendered."""


def render(
    template: str, vocabulary: Vocabulary, messages: Sequence[Mapping[str, str]] = TWO_TURNS, *, answer: bool = True
) -> str:
    """What a template makes of messages, as `transformers` renders it; `answer`: the assistant is to speak next.

    Raises:
      ChatTemplateError: it is no template, asks for what it is not given, or refuses the messages.
    """
    ids = {"bos": vocabulary.bos, "eos": vocabulary.eot, "pad": vocabulary.pad, **vocabulary.roles}
    named = {variable: vocabulary.names.get(ids.get(role, -1), "") for role, variable in VARIABLES.items()}
    try:
        given = [dict(message) for message in messages]
        return _compiled(template).render(messages=given, add_generation_prompt=answer, **named)
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise ChatTemplateError(f"the chat template cannot be rendered: {error}") from error


def named_in(template: str, spellings: Iterable[str]) -> list[str]:
    """Those of the spellings that stand in a template's text or strings, in their order there.

    Where one is a part of another, the longest counts.

    Raises:
      ChatTemplateError: it is no template.
    """
    pattern = _any_of(spellings)
    if pattern is None:
        return []
    return list(dict.fromkeys(found for text in _strings(template) for found in pattern.findall(text)))


def renamed(template: str, spellings: Mapping[str, str]) -> str:
    """The template with spellings of specials replaced by others."""
    pattern = _any_of(spellings)
    return template if pattern is None else pattern.sub(lambda found: spellings[found[0]], template)


def cut_at_specials(text: str, spellings: Iterable[str]) -> list[str]:
    """A text in pieces, of which each second one is the spelling of a special."""
    pattern = _any_of(spellings)
    if pattern is None:
        return [text]
    return re.split(f"({pattern.pattern})", text)


def _any_of(spellings: Iterable[str]) -> re.Pattern[str] | None:
    ordered = sorted(filter(None, spellings), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, ordered))) if ordered else None


def _strings(template: str) -> Iterator[str]:
    try:
        tree = _environment().parse(template)
    except jinja2.TemplateError as error:
        raise ChatTemplateError(f"the chat template is none: {error}") from error
    for node in tree.find_all((jinja2.nodes.TemplateData, jinja2.nodes.Const)):
        value = node.data if isinstance(node, jinja2.nodes.TemplateData) else node.value
        if isinstance(value, str):
            yield value


@functools.lru_cache(maxsize=16)
def _compiled(template: str) -> jinja2.Template:
    return _environment().from_string(template)


def _environment() -> jinja2.Environment:
    """As `transformers` sets it up: a sandbox, with blocks that leave no lines behind."""
    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
    )
    made.filters["tojson"] = _to_json
    names: dict[str, Any] = made.globals
    names["raise_exception"] = _refuse
    names["strftime_now"] = lambda how: datetime.datetime(2026, 1, 1).strftime(how)  # the same each time
    return made


class _Generation(jinja2.ext.Extension):
    """`{% generation %}`, which marks what the assistant says, and renders as what is in it."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Any) -> Any:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.Scope(body, lineno=line)


def _to_json(value: Any, ensure_ascii: bool = False, **how: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **how)


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
