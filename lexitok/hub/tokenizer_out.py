"""A tokenizer as the files that `transformers` reads: those that it came from, or a `tokenizer.json` made of it."""

import json
import shutil
from pathlib import Path
from typing import Any

from lexitok.hub.stored_tensors import HubError
from lexitok.text.tokenizer_export import tokenizer_json
from lexitok.text.tokenizer_files import IN_DIRECTORY
from lexitok.text.vocabulary import Tokenizer, Vocabulary

FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model",
    "tekken.json", "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json", "generation_config.json",
)  # fmt: skip
_ROLES = {"unknown": "unk_token", "mask": "mask_token", "classify": "cls_token", "separate": "sep_token"}


def copy_tokenizer_files(source: Path, folder: Path) -> None:
    """Copies the files of a directory that are about its tokenizer."""
    for name in FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def has_tokenizer(folder: Path) -> bool:
    """Whether a directory has a tokenizer's own files, and not only what lies beside them."""
    return any((folder / name).is_file() for name in (*IN_DIRECTORY, "vocab.json"))


def write_tokenizer(folder: Path, tokenizer: Tokenizer | None, files_of: Path | None) -> None:
    """Writes a tokenizer into a checkpoint's directory.

    Args:
      folder: the directory.
      tokenizer: None: there is none.
      files_of: a directory whose files are copied; the tokenizer is written only if it is not among them. None: it is
        written.

    Raises:
      HubError: a tokenizer that cannot be written as a `tokenizer.json`.
    """
    if files_of is not None:
        copy_tokenizer_files(files_of, folder)
    if tokenizer is None or has_tokenizer(folder):
        return
    try:
        (folder / "tokenizer.json").write_bytes(tokenizer_json(tokenizer))
    except ValueError as error:
        raise HubError(f"{error}; copy its own files with files_of, or write the model without a tokenizer") from error
    if not (folder / "tokenizer_config.json").is_file():
        settings = json.dumps(_settings(tokenizer.vocabulary), indent=2, ensure_ascii=False)
        (folder / "tokenizer_config.json").write_text(settings + "\n", encoding="utf-8")


def _settings(vocabulary: Vocabulary) -> dict[str, Any]:
    """`tokenizer_config.json`: what the specials are for."""
    roles = {"bos_token": vocabulary.bos, "eos_token": vocabulary.eot}
    if vocabulary.pad not in (vocabulary.bos, vocabulary.eot):
        roles["pad_token"] = vocabulary.pad
    roles |= {_ROLES[role]: i for role, i in vocabulary.roles.items() if role in _ROLES}
    spelled = {key: vocabulary.names[i] for key, i in roles.items() if i in vocabulary.names}
    return {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **spelled}
