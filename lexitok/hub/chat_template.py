"""Chat templates: where checkpoints keep them, what they render, and which specials they name."""

import datetime
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

from lexitok.hub.stored_tensors import HubError
from lexitok.runs.writing import write_whole
from lexitok.text.gguf_header import MAGIC, read_gguf_header
from lexitok.text.vocabulary import Vocabulary

FILE = "chat_template.jinja"
_OLDER = "chat_template.json"
_SETTINGS, _KEY = "tokenizer_config.json", "chat_template"
VARIABLES = {"bos": "bos_token", "eos": "eos_token", "pad": "pad_token", "unknown": "unk_token"}
TWO_TURNS = (
    {"role": "user", "content": "How many legs has a spider?"},
    {"role": "assistant", "content": "Eight."},
    {"role": "user", "content": "And two of them?"},
)


def read_template(folder: Path) -> str | None:
    """The template in a checkpoint's directory, as `transformers` finds it; None: there is none.

    A file of its own goes before `tokenizer_config.json`; of several in that, the one called `default` is taken.

    Raises:
      HubError: a file that cannot be read.
    """
    if (folder / FILE).is_file():
        return (folder / FILE).read_text(encoding="utf-8")
    for name in (_OLDER, _SETTINGS):
        if (folder / name).is_file():
            found = _read_object(folder / name).get(_KEY)
            if isinstance(found, list):
                found = next((one.get("template") for one in found if one.get("name") == "default"), None)
            if found is not None:
                return str(found)
    return None


def gguf_template(path: str | Path) -> str | None:
    """The template in the metadata of a GGUF; None: it has none, or there is no GGUF."""
    path = Path(path).expanduser()
    if not path.is_file():
        return None
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return None
    found = read_gguf_header(path).get("tokenizer.chat_template")
    return found if isinstance(found, str) else None


def write_template(folder: Path, template: str | None) -> None:
    """Makes a template the one of a directory, whose files may hold others; None: there is to be none."""
    for name in (FILE, _OLDER):
        (folder / name).unlink(missing_ok=True)
    if (folder / _SETTINGS).is_file():
        content = _read_object(folder / _SETTINGS)
        if content.pop(_KEY, None) is not None:
            write_whole(folder / _SETTINGS, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    if template is not None:
        folder.mkdir(exist_ok=True)
        write_whole(folder / FILE, template)


def render(template: str, vocabulary: Vocabulary, messages: Sequence[Mapping[str, str]] = TWO_TURNS) -> str:
    """What a template makes of messages, with the assistant to speak next, as `transformers` renders it.

    Raises:
      HubError: it is no template, asks for what it is not given, or refuses the messages.
    """
    ids = {"bos": vocabulary.bos, "eos": vocabulary.eot, "pad": vocabulary.pad, **vocabulary.roles}
    named = {variable: vocabulary.names.get(ids.get(role, -1), "") for role, variable in VARIABLES.items()}
    try:
        found = _environment().from_string(template)
        return found.render(messages=[dict(message) for message in messages], add_generation_prompt=True, **named)
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise HubError(f"the chat template cannot be rendered: {error}") from error


def named_in(template: str, spellings: Iterable[str]) -> list[str]:
    """Those of the spellings that stand in a template's text or strings, in their order there.

    Where one is a part of another, the longest counts.

    Raises:
      HubError: it is no template.
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
        raise HubError(f"the chat template is none: {error}") from error
    for node in tree.find_all((jinja2.nodes.TemplateData, jinja2.nodes.Const)):
        value = node.data if isinstance(node, jinja2.nodes.TemplateData) else node.value
        if isinstance(value, str):
            yield value


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


def _read_object(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        raise HubError(f"{file}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise HubError(f"{file}: holds {type(content).__name__}, not an object")
    return content
