"""Checkpoints from elsewhere as run directories, which everything here opens, and runs as checkpoints for elsewhere.

A converted run has one checkpoint, of step 0, with the parameters and no state of an optimizer.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from lexitok.config.files import to_json
from lexitok.hub.chat_template import gguf_template, write_template
from lexitok.hub.load import load
from lexitok.hub.save import save
from lexitok.hub.stored_tensors import HubError
from lexitok.hub.tokenizer_out import copy_tokenizer_files
from lexitok.runs.checkpoints.files import VOCABULARY, RunRecord
from lexitok.runs.checkpoints.manager import Checkpoints
from lexitok.runs.load import load_model
from lexitok.runs.run import CONFIG, read_config
from lexitok.runs.writing import write_whole

TOKENIZER = "tokenizer"  # folder of a converted run: the tokenizer's own files, as they came, and its chat template


def to_run(
    source: str | Path,
    workdir: str | Path,
    *,
    tokenizer: str | Path | None = None,
    mesh: Mesh | None = None,
    dtype: str | None = None,
) -> None:
    """Converts a checkpoint (see `lexitok.hub.load`) to a run directory.

    Args:
      source: a path, or `hf:OWNER/NAME`.
      workdir: the directory; there must be nothing yet.
      tokenizer: a file or directory with the tokenizer, where the checkpoint has none of its own.
      mesh, dtype: as of `load`.

    Raises:
      HubError: as `load`; there is something at `workdir`; or there is no tokenizer.
    """
    workdir = Path(workdir)
    check_free(workdir)
    loaded = load(source, mesh=mesh, dtype=dtype, tokenizer=tokenizer)
    if loaded.tokenizer is None:
        raise HubError(f"{source} has no tokenizer, and a run needs one: name it with tokenizer=PATH")
    versions = {"jax": jax.__version__, "converted from": str(source)}
    record = RunRecord(loaded.config, loaded.tokenizer.to_bytes(), versions)
    files_of = next((Path(at) for at in (tokenizer, source) if at is not None and Path(at).is_dir()), None)
    template = gguf_template(source) if files_of is None else None

    def finish(folder: Path) -> None:
        if template is not None:
            write_template(folder / TOKENIZER, template)

    write_run(workdir, record, loaded.model, files_of=files_of, finish=finish)


def check_free(workdir: Path) -> None:
    """Raises a `HubError` if there is something at `workdir`."""
    if workdir.exists():
        raise HubError(f"there is something at {workdir} already; name a directory that does not exist")


def write_run(
    workdir: Path,
    record: RunRecord,
    model: Any,
    *,
    files_of: Path | None = None,
    finish: Callable[[Path], None] | None = None,
) -> None:
    """Writes a run with one checkpoint, all or nothing.

    Args:
      workdir: of the run.
      record: its config and vocabulary, and where it came from.
      model: of the checkpoint.
      files_of: a directory whose tokenizer files are kept with the run.
      finish: called with the directory before it gets its name, to write more there or to check it; what it raises
        undoes all.
    """
    workdir.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{workdir.name}.partial", dir=workdir.parent))
    try:
        partial.chmod(0o755)
        with Checkpoints(partial, record) as checkpoints:
            checkpoints.save(0, {"model": model})
        if record.vocabulary:
            write_whole(partial / VOCABULARY, record.vocabulary)
        if files_of is not None:
            (partial / TOKENIZER).mkdir()
            copy_tokenizer_files(files_of, partial / TOKENIZER)
        write_whole(partial / CONFIG, to_json(record.config))
        if finish is not None:
            finish(partial)
        os.rename(partial, workdir)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def from_run(
    workdir: str | Path,
    path: str | Path,
    *,
    step: int | None = None,
    dtype: str = "float32",
    family: str | None = None,
    shard_gb: float = 5.0,
) -> str:
    """Writes a run's checkpoint as a directory in Hugging Face's layout; returns the name of the family.

    Args:
      workdir: of the run.
      path: of the new directory.
      step: of the checkpoint; None: the newest.
      dtype, family, shard_gb: as of `lexitok.hub.save`.

    Raises:
      HubError: as `save`.
      RunError, CheckpointError: there is no such run or checkpoint.
    """
    workdir = Path(workdir)
    config = read_config(workdir)
    if config.text.kind != "subword":
        raise HubError(f"{workdir} is a run of kind '{config.text.kind}', and only subword models have this layout")
    model, encoder = load_model(workdir, step)
    files = workdir / TOKENIZER
    return save(
        model,
        config,
        path,
        tokenizer=encoder.tokenizer,  # type: ignore[attr-defined]
        files_of=files if files.is_dir() else None,
        dtype=dtype,
        family=family,
        shard_gb=shard_gb,
    )


def is_run(path: str | Path) -> bool:
    """Whether a directory is one of a run, and not a checkpoint in Hugging Face's layout."""
    return (Path(path) / "checkpoints").is_dir()
