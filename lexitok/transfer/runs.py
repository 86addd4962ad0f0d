"""A run's model under a new tokenizer, as a new run that everything here opens."""

import dataclasses
import itertools
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from lexitok.hub.conversion import check_free, write_run
from lexitok.inference.generate import generate
from lexitok.interfaces.table import Table
from lexitok.parameter_names import names, to_dicts
from lexitok.runs.checkpoints.files import RunRecord
from lexitok.runs.load import load_model
from lexitok.runs.run import read_config
from lexitok.runs.writing import write_whole
from lexitok.text.padded_tokenizer import PaddedTokenizer
from lexitok.text.tokenizer_files import load_tokenizer
from lexitok.text.vocabulary import Tokenizer, Vocabulary
from lexitok.transfer import audit
from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods import Method, make_method
from lexitok.transfer.model import Transferred, transfer
from lexitok.transfer.provenance import Provenance

log = logging.getLogger(__name__)
REPORT = "transfer.md"
PROVENANCE = {"entering": "rows_in.jsonl", "leaving": "rows_out.jsonl"}
_WRITES = 80  # bytes, some 20 tokens, when it is read back


def transfer_run(
    run: str | Path,
    tokenizer: str | Path,
    workdir: str | Path,
    *,
    method_in: str,
    method_out: str | None = None,
    vectors: str | Path | None = None,
    specials: Mapping[str, str] | None = None,
    multiple: int = 1,
    seed: int = 0,
    step: int | None = None,
) -> str:
    """Writes a run with the model of another under a new tokenizer, the provenance of its rows, and an audit.

    What is written is read back, and writes some tokens, before it counts.

    Args:
      run: directory of a run of a subword model (`experiments/convert.py` makes one of a checkpoint).
      tokenizer: file or directory of the new one (`lexitok.text.tokenizer_files.load_tokenizer`).
      workdir: of the new run; there must be nothing yet.
      method_in, method_out: as of `init_embeddings`, as they are written (`lexitok.transfer.methods.make_method`).
      vectors: a run of a model that has the new tokenizer, for methods that compare its rows.
      specials: from spellings of the new specials to those of the old, where their roles do not say it.
      multiple: the table's rows are rounded up to a multiple of it; those behind the last id are never used.
      seed: of what methods draw at random.
      step: of the checkpoint; None: the newest.

    Returns:
      The report, which is in the new directory too.

    Raises:
      TransferError: as `init_embeddings`; the run is of no subword model; a special is not there.
      HubError: there is something at `workdir`.
      ValueError, FileNotFoundError: the tokenizer cannot be read.
    """
    workdir, path = Path(workdir), Path(tokenizer)
    check_free(workdir)
    opened = open_subword(run, step)
    source, target = opened.tokenizer, rounded(load_tokenizer(path), multiple)
    ids = special_ids(source.vocabulary, target.vocabulary, specials or {})
    entering, leaving = methods_of(method_in, method_out, vectors, target)
    done = transfer(opened.model, source, target, method_in=entering, method_out=leaving, specials=ids, seed=seed)
    text = summary(source, target, done)
    write_transferred(workdir, opened, target, done, text, files_of=path if path.is_dir() else None)
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


def methods_of(
    method_in: str, method_out: str | None, vectors: str | Path | None, target: Tokenizer
) -> tuple[Method, Method | None]:
    """The methods by which symbols enter and leave, of what is written; all as of `transfer_run`."""
    vectors_in, vectors_out = (None, None) if vectors is None else vectors_of(vectors, target)
    leaving = None if method_out is None else make_method(method_out, vectors_VxA=vectors_out)
    return make_method(method_in, vectors_VxA=vectors_in), leaving


def write_transferred(
    workdir: Path,
    opened: SubwordRun,
    target: Tokenizer,
    done: Transferred,
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
        for side, file in PROVENANCE.items():
            made = getattr(done.tables, side)
            if made is not None:
                made.provenance.write(folder / file, opened.tokenizer.vocabulary, target.vocabulary)
        write_whole(folder / REPORT, text)
        finish(folder)
        _check_written(folder, done.model, target)

    write_run(workdir, record, done.model, files_of=files_of, finish=fill)


def vectors_of(run: str | Path, target: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """The tables of a model that has the new tokenizer's ids, by which symbols enter and leave: auxiliary vectors.

    Raises:
      TransferError: its tokenizer is another, or its model has no learned table.
    """
    model, encoder = load_model(run)
    tokens, wanted = encoder.vocabulary.token_bytes, target.vocabulary.token_bytes
    if any(a != b for a, b in itertools.zip_longest(tokens, wanted, fillvalue=b"")):
        raise TransferError(f"the tokens of {run} are not those of the new tokenizer: its rows say nothing of them")
    interface: Any = model.interface
    if not isinstance(interface, Table):
        raise TransferError(f"{run} has a {type(interface).__name__}, and no table of learned rows")

    def fitted(rows: Any) -> np.ndarray:  # ids behind the last token are never used
        rows = np.asarray(jax.device_get(rows[...]), np.float32)[: len(wanted)]
        return np.pad(rows, ((0, len(wanted) - len(rows)), (0, 0)))

    return fitted(interface.table), fitted(interface.table_out)


def rounded(tokenizer: Tokenizer, multiple: int) -> Tokenizer:
    """The tokenizer with ids that never come up, up to a multiple.

    Raises:
      TransferError: the multiple is not positive.
    """
    if multiple < 1:
        raise TransferError(f"multiple is {multiple}; it is 1 or more")
    size = -(-tokenizer.vocabulary.size // multiple) * multiple
    return tokenizer if size == tokenizer.vocabulary.size else PaddedTokenizer(tokenizer, size)


def spelled(pairs: Sequence[str]) -> dict[str, str]:
    """`NEW=OLD`, spellings of specials that go together, as a mapping.

    Raises:
      TransferError: a pair without `=`; names it.
    """
    for pair in pairs:
        if "=" not in pair:
            raise TransferError(f"'{pair}' is no pair of specials: write NEW=OLD")
    return dict(pair.split("=", 1) for pair in pairs)


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


def _counts(provenance: Provenance) -> str:
    copied, made, special, unmatched = (int((provenance.kind_V == kind).sum()) for kind in range(4))
    return (
        f"{copied:,} rows of the same bytes, {made:,} by {provenance.method}, {special:,} of specials, "
        f"{unmatched:,} that are the mean of all"
    )


def _check_written(folder: Path, model: Any, target: Tokenizer) -> None:
    """Raises a `TransferError` unless the run can be read, is the model, and writes text."""
    again, encoder = load_model(folder)
    if encoder.vocabulary.fingerprint != target.vocabulary.fingerprint:
        raise TransferError("the tokenizer that was written is another than the one that was given")
    expected = names(to_dicts(model))
    for name, x in names(to_dicts(again)).items():
        if not np.array_equal(np.asarray(jax.device_get(x)), np.asarray(jax.device_get(expected[name]), x.dtype)):
            raise TransferError(f"parameter '{name}' is not what was written")
    written = generate(again, encoder, [b"The "], max_bytes=_WRITES, temperature=0.0)[0]
    log.info("the transferred model writes %r", written)
