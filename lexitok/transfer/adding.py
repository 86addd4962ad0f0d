"""A run's model with more tokens: a new run, and a report of what was added and how much probability it takes."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from lexitok.data.encoders import make_encoder
from lexitok.data.sources import open_source
from lexitok.evals.new_mass import NewMass, mass_table, new_mass
from lexitok.hub.conversion import TOKENIZER, check_free
from lexitok.hub.tokenizer_out import copy_tokenizer_files
from lexitok.runs.load import load_model
from lexitok.runs.run import read_config
from lexitok.runs.writing import write_whole
from lexitok.text.adding.changes import Changed
from lexitok.text.matching import match_by_id
from lexitok.text.tokenizer_export import tokenizer_json
from lexitok.text.vocabulary import Tokenizer
from lexitok.transfer.errors import TransferError
from lexitok.transfer.materials import Materials
from lexitok.transfer.model import transfer
from lexitok.transfer.provenance import shown
from lexitok.transfer.runs import NOTHING, SubwordRun, methods_of, rounded, summary, write_transferred
from lexitok.transfer.templates import SOURCE, choose_chat

ADDED = "added.jsonl"
_OUTDATED = ("tokenizer.json", "tokenizer.model", "tekken.json", "vocab.json", "merges.txt", "added_tokens.json")
_SHOWN = 40  # tokens of a list


@dataclasses.dataclass(frozen=True)
class Text:
    """Documents of a source.

    Attributes:
      source: as `data.source`; None: the run's own.
      split: of the source.
      max_bytes: of whole documents, at most; 0: all.
    """

    source: str | None = None
    split: str = "train"
    max_bytes: int = 0

    def documents(self, config: ConfigDict) -> list[bytes]:
        """The raw bytes.

        Raises:
          SourceError: no such source or split.
        """
        data = config.data
        corpus = open_source(self.source or data.source, self.split, cache=data.cache, field=data.field)
        return [document.data for document in corpus.documents(self.max_bytes)]


def write_changed(
    opened: SubwordRun,
    workdir: str | Path,
    changed: Changed,
    *,
    held_out: Text,
    method_in: str,
    method_out: str | None = None,
    materials: Materials = NOTHING,
    multiple: int = 1,
    seed: int = 0,
) -> str:
    """Writes a run under a tokenizer with other tokens: rows of those that are kept stay, to the last bit.

    Beside what `transfer_run` writes there is `added.jsonl`, a line for each token that was added or pruned.

    Args:
      opened: the run that it comes from.
      workdir: of the new run; there must be nothing yet.
      changed: its tokenizer with other tokens.
      held_out: the text that the report measures.
      method_in, method_out, materials, multiple, seed: as of `lexitok.transfer.runs.transfer_run`.

    Returns:
      The report, which is in the new directory too.

    Raises:
      HubError: there is something at `workdir`.
      TransferError: as `transfer_run`; there is no held-out text.
    """
    check_free(Path(workdir))
    documents = held_out.documents(opened.config)
    source, target = opened.tokenizer, rounded(changed.tokenizer, multiple)
    found = match_by_id(source.vocabulary, target.vocabulary, changed.added)
    files = opened.path / TOKENIZER
    chat = choose_chat(SOURCE, files, files, source.vocabulary, target)
    entering, leaving = methods_of(method_in, method_out, materials.given(source, target), opened.model)
    done = transfer(opened.model, source, target, method_in=entering, method_out=leaving, found=found, seed=seed)
    parts = [_tokens(source, target, changed), _lengths(source, target, documents)]
    if changed.added:
        mass = _mass(done.model, opened.config, target, documents, changed.added)
        parts.append("Probability of the new tokens, before any training:\n\n" + mass_table({"now": mass}))
    text = "\n\n".join([*parts, summary(source, target, done)])

    def finish(folder: Path) -> None:
        write_whole(folder / ADDED, "".join(f"{json.dumps(line)}\n" for line in _lines(target, changed)))
        _keep_files(files, folder / TOKENIZER, target)

    write_transferred(Path(workdir), opened, target, done, chat, text, finish=finish)
    return text


def mass_of_runs(runs: Mapping[str, str | Path], added: str | Path, text: Text) -> dict[str, NewMass]:
    """The probability of new tokens in several runs, as before and after training, on the same text.

    `lexitok.evals.new_mass.mass_table` writes it as a table.

    Args:
      runs: name → directory; all have the tokenizer of `added`.
      added: the run that tokens were added to, by `write_changed`.
      text: that they are asked for.

    Raises:
      TransferError: nothing was added there; a run has another tokenizer.
    """
    path = Path(added) / ADDED
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    ids = [line["id"] for line in lines if line["what"] == "added"]
    if not ids:
        raise TransferError(f"{added} is no run that tokens were added to: it has no {ADDED} that names one")
    _, encoder = load_model(added)
    config, found = read_config(Path(added)), {}
    documents = text.documents(config)
    for name, run in runs.items():
        model, of_run = load_model(run)
        if of_run.vocabulary.fingerprint != encoder.vocabulary.fingerprint:
            raise TransferError(f"{run} has another tokenizer than {added}: its new tokens are not the same")
        found[name] = _mass(model, config, of_run.tokenizer, documents, ids)  # type: ignore[attr-defined]
    return found


def read_tokens(path: str | Path) -> list[bytes]:
    """The tokens of a file: a list of strings (`.json`), or the lines of a text as they stand, spaces included.

    Raises:
      TransferError: there is no such file, or it holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise TransferError(f"no list of tokens at {path}")
    data = path.read_bytes()
    if path.suffix != ".json":
        return data.removesuffix(b"\n").split(b"\n") if data else []
    try:
        found = json.loads(data)
    except ValueError as error:
        raise TransferError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(token, str) for token in found):
        raise TransferError(f"{path} is to be a list of strings")
    return [token.encode("utf-8", "surrogatepass") for token in found]


def _mass(
    model: Any, config: ConfigDict, tokenizer: Tokenizer, documents: Sequence[bytes], ids: Sequence[int]
) -> NewMass:
    c = config
    shape = {"rows": c.data.rows, "symbols": c.data.symbols, "units": c.data.units, "overlap": c.eval.overlap}
    return new_mass(model, make_encoder(c.text, tokenizer), documents, ids, chunk=c.objective.chunk, **shape)


def _lengths(source: Tokenizer, target: Tokenizer, documents: Sequence[bytes]) -> str:
    nbytes = sum(map(len, documents))
    if not nbytes:
        raise TransferError("there is no held-out text to measure")
    counts = [sum(len(tokenizer.encode(data).ids) for data in documents) for tokenizer in (source, target)]
    before, after = (count / nbytes for count in counts)
    change = f"{before:.4f} before, {after:.4f} now ({after / before - 1:+.1%})"
    return f"Tokens per byte of {nbytes:,} held-out bytes: {change}."


def _tokens(source: Tokenizer, target: Tokenizer, changed: Changed) -> str:
    new = [f"`{shown(target.vocabulary, i)}`" for i in changed.added]
    old = [f"`{shown(source.vocabulary, i)}`" for i in changed.pruned]
    found = []
    for what, tokens in (("added", new), ("pruned", old)):
        more = ", …" if len(tokens) > _SHOWN else ""
        found.append(f"{len(tokens):,} tokens {what}{': ' if tokens else ''}{', '.join(tokens[:_SHOWN])}{more}.")
    return "\n\n".join(found)


def _lines(target: Tokenizer, changed: Changed) -> list[dict[str, Any]]:
    pruned = [
        {"what": "pruned", "id": i, "token": token.decode(errors="backslashreplace")}
        for i, token in changed.pruned.items()
    ]
    return pruned + [{"what": "added", "id": i, "token": shown(target.vocabulary, i)} for i in changed.added]


def _keep_files(old: Path, new: Path, target: Tokenizer) -> None:
    """Chat templates and what else is beside a tokenizer's own file, which is written anew."""
    if not old.is_dir():
        return
    new.mkdir()
    copy_tokenizer_files(old, new)
    for name in _OUTDATED:
        (new / name).unlink(missing_ok=True)
    write_whole(new / "tokenizer.json", tokenizer_json(target))
