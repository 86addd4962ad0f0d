"""A run's model under a new tokenizer, as a new run that everything here opens."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from lexitok.hub.chat_template import write_template
from lexitok.hub.conversion import TOKENIZER, check_free, write_run
from lexitok.runs.checkpoints.files import RunRecord
from lexitok.runs.load import load_model
from lexitok.runs.run import read_config
from lexitok.runs.writing import write_whole
from lexitok.text.padded_tokenizer import PaddedTokenizer
from lexitok.text.tokenizer_files import load_tokenizer
from lexitok.text.vocabulary import Tokenizer, Vocabulary
from lexitok.transfer import audit
from lexitok.transfer.errors import TransferError
from lexitok.transfer.materials import Given, Materials
from lexitok.transfer.methods import Method, make_method, takes
from lexitok.transfer.model import Transferred, transfer
from lexitok.transfer.provenance import FILES, Provenance
from lexitok.transfer.read_back import check_written
from lexitok.transfer.templates import SOURCE, Chat, choose_chat, generation_config

REPORT = "transfer.md"
NOTHING = Materials()


def transfer_run(
    run: str | Path,
    tokenizer: str | Path,
    workdir: str | Path,
    *,
    method_in: str,
    method_out: str | None = None,
    materials: Materials = NOTHING,
    specials: Mapping[str, str] | None = None,
    template: str = SOURCE,
    multiple: int = 1,
    seed: int = 0,
    step: int | None = None,
) -> str:
    """Writes a run with the model of another under a new tokenizer, the provenance of its rows, and an audit.

    What is written is read back, chats and writes 20 tokens before it counts.

    Args:
      run: directory of a run of a subword model (`experiments/convert.py` makes one of a checkpoint).
      tokenizer: file or directory of the new one (`lexitok.text.tokenizer_files.load_tokenizer`).
      workdir: of the new run; there must be nothing yet.
      method_in, method_out: as of `init_embeddings`, as they are written (`lexitok.transfer.methods.make_method`).
      materials: what methods count, compare and translate.
      specials: from spellings of the new specials to those of the old, where their roles do not say it.
      template: the chat template: `source`, `target` or a file (`lexitok.transfer.templates.choose_chat`).
      multiple: the table's rows are rounded up to a multiple of it; those behind the last id are never used.
      seed: of what methods draw at random.
      step: of the checkpoint; None: the newest.

    Returns:
      The report, which is in the new directory too.

    Raises:
      TransferError: as `init_embeddings`; the run is of no subword model; a special, a template, or what a method needs
        is not there; what was written is not what was made.
      HubError: there is something at `workdir`.
      ValueError, FileNotFoundError: the tokenizer cannot be read.
    """
    workdir, path = Path(workdir), Path(tokenizer)
    check_free(workdir)
    opened = open_subword(run, step)
    source, files = opened.tokenizer, opened.path / TOKENIZER
    chat = choose_chat(template, files, path, source.vocabulary, load_tokenizer(path))
    target = rounded(chat.target, multiple)
    ids = special_ids(source.vocabulary, target.vocabulary, specials or {})
    entering, leaving = methods_of(method_in, method_out, materials.given(source, target), opened.model)
    done = transfer(opened.model, source, target, method_in=entering, method_out=leaving, specials=ids, seed=seed)
    text = f"{_chats_by(chat)}\n\n{summary(source, target, done)}"

    def finish(folder: Path) -> None:
        if template == SOURCE and (generation := generation_config(files, done.tables.match, target.vocabulary)):
            (folder / TOKENIZER).mkdir(exist_ok=True)
            write_whole(folder / TOKENIZER / "generation_config.json", generation)

    kept = path if path.is_dir() and not chat.added else None
    write_transferred(workdir, opened, target, done, chat, text, files_of=kept, finish=finish)
    return text


@dataclasses.dataclass(frozen=True)
class SubwordRun:
    """A run of a subword model, opened.

    Attributes:
      path: its directory.
      config: its settings.
      model: of the checkpoint.
      tokenizer: that the model was trained with.
    """

    path: Path
    config: ConfigDict
    model: Any
    tokenizer: Tokenizer


def open_subword(run: str | Path, step: int | None = None) -> SubwordRun:
    """Opens a run.

    Raises:
      TransferError: it is of no subword model.
      RunError, CheckpointError: there is no such run or checkpoint.
    """
    config = read_config(Path(run))
    if config.text.kind != "subword":
        raise TransferError(f"{run} is a run of kind '{config.text.kind}': only subword models have a tokenizer")
    model, encoder = load_model(run, step)
    return SubwordRun(Path(run), config, model, encoder.tokenizer)  # type: ignore[attr-defined]


def methods_of(method_in: str, method_out: str | None, given: Given, model: Any) -> tuple[Method, Method | None]:
    """The methods by which symbols enter and leave, of what is written; all as of `transfer_run`."""
    entering = make_method(method_in, **given(takes(method_in), "in"))
    untied = getattr(getattr(model, "interface", None), "head", None) is not None
    said = method_out or (method_in if untied else None)  # what compares has other vectors for another table
    return entering, None if said is None else make_method(said, **given(takes(said), "out"))


def write_transferred(
    workdir: Path,
    opened: SubwordRun,
    target: Tokenizer,
    done: Transferred,
    chat: Chat,
    text: str,
    *,
    files_of: Path | None = None,
    finish: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Writes a transferred model as a run, all or nothing: it is read back, and writes some tokens, before it counts.

    Args:
      workdir: of the new run.
      opened: the run that it comes from.
      target: the new tokenizer.
      done: the model, and where its rows come from.
      chat: what it chats by.
      text: the report.
      files_of: a directory whose tokenizer files are kept with the run.
      finish: writes more into the directory, before it gets its name.

    Raises:
      HubError: there is something at `workdir`.
      TransferError: what was written is not what was to be.
    """
    check_free(workdir)
    versions = {"jax": jax.__version__, "transferred from": str(opened.path)}
    record = RunRecord(_config(opened.config, target), target.to_bytes(), versions)

    def fill(folder: Path) -> None:
        for side, file in FILES.items():
            made = getattr(done.tables, side)
            if made is not None:
                made.provenance.write(folder / file, opened.tokenizer.vocabulary, target.vocabulary)
        write_whole(folder / REPORT, text)
        finish(folder)
        write_template(folder / TOKENIZER, chat.template)
        check_written(folder, folder / TOKENIZER, done.model, opened.tokenizer, target, chat, done.tables)

    write_run(workdir, record, done.model, files_of=files_of, finish=fill)


def rounded(tokenizer: Tokenizer, multiple: int) -> Tokenizer:
    """The tokenizer with ids that never come up, up to a multiple.

    Raises:
      TransferError: the multiple is not positive.
    """
    if multiple < 1:
        raise TransferError(f"multiple is {multiple}; it is 1 or more")
    size = -(-tokenizer.vocabulary.size // multiple) * multiple
    return tokenizer if size == tokenizer.vocabulary.size else PaddedTokenizer(tokenizer, size)


def special_ids(source: Vocabulary, target: Vocabulary, spellings: Mapping[str, str]) -> dict[int, int]:
    """Ids of specials by their spellings, of the target to those of the source.

    Raises:
      TransferError: a vocabulary has no special of that spelling; names it.
    """
    found = {}
    for theirs, ours in spellings.items():
        ids = []
        for vocabulary, name, whose in ((target, theirs, "new"), (source, ours, "old")):
            of_name = {spelling: i for i, spelling in vocabulary.names.items()}
            if name not in of_name:
                some = ", ".join(list(of_name)[:10])
                raise TransferError(f"the {whose} tokenizer has no special '{name}'; it has {some}")
            ids.append(of_name[name])
        found[ids[0]] = ids[1]
    return found


def _config(config: ConfigDict, target: Tokenizer) -> ConfigDict:
    """The run's config, with what it says of its tokenizer put right."""
    config, vocabulary = config.copy_and_resolve_references(), target.vocabulary
    with config.unlocked():
        config.name = f"{config.name}-transferred"
        config.text.vocabulary.size = vocabulary.size
        if "pretrained" in config:
            said = {"bos_token_id": vocabulary.bos, "eos_token_id": vocabulary.eot, "pad_token_id": vocabulary.pad}
            keys = json.loads(config.pretrained.config_json) | said | {"vocab_size": vocabulary.size}
            config.pretrained.config_json = json.dumps(keys)
    return config.lock()


def summary(source: Tokenizer, target: Tokenizer, done: Transferred) -> str:
    """What was done to the tables, and the audit, as text."""
    lines = [f"{source.vocabulary.size:,} ids before, {target.vocabulary.size:,} now.", ""]
    for name, side in (("Symbols enter", done.tables.entering), ("Symbols leave", done.tables.leaving)):
        if side is not None:
            lines += [f"{name} by {_counts(side.provenance)}.", ""]
    return "\n".join([*lines, audit.report(source, target, done.tables.entering.provenance)]) + "\n"


def _chats_by(chat: Chat) -> str:
    if chat.template is None:
        return "No chat template."
    added = f" Specials that were added for it: {', '.join(chat.added)}." if chat.added else ""
    swapped = ", ".join(f"{old} by {new}" for old, new in chat.renamed.items())
    return f"Chat template: {chat.choice}.{added}" + (f" Replaced in it: {swapped}." if swapped else "")


def _counts(provenance: Provenance) -> str:
    copied, made, special, unmatched = (int((provenance.kind_V == kind).sum()) for kind in range(4))
    return (
        f"{copied:,} rows of the same bytes, {made:,} by {provenance.method}, {special:,} of specials, "
        f"{unmatched:,} that are the mean of all"
    )
