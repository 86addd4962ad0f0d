"""Chat templates: where checkpoints keep them."""

import json
from pathlib import Path
from typing import Any

from lexitok.hub.stored_tensors import HubError
from lexitok.runs.writing import write_whole
from lexitok.text.gguf_header import MAGIC, read_gguf_header

FILE = "chat_template.jinja"
_OLDER = "chat_template.json"
_SETTINGS, _KEY = "tokenizer_config.json", "chat_template"


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


def template_at(place: str) -> str:
    """The template that a setting names: a file, a GGUF or a checkpoint's directory; or says itself, in Jinja.

    Raises:
      HubError: there is none.
    """
    path = Path(place).expanduser()
    if "{{" in place or "{%" in place:
        return place
    if path.is_dir():
        found = read_template(path)
    elif path.is_file():
        with path.open("rb") as file:
            is_gguf = file.read(len(MAGIC)) == MAGIC
        found = gguf_template(path) if is_gguf else path.read_text(encoding="utf-8")
    else:
        raise HubError(f"there is no chat template at {place}")
    if found is None:
        raise HubError(f"{place} comes with no chat template")
    return found


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


def _read_object(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        raise HubError(f"{file}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise HubError(f"{file}: holds {type(content).__name__}, not an object")
    return content
