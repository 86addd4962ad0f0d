"""`load`: a pretrained checkpoint as a model, its tokenizer and its settings."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

from jax.sharding import Mesh
from ml_collections import ConfigDict

from lexitok.hub.axis_layouts import FLOATS
from lexitok.hub.description import Description, abstract_model, describe
from lexitok.hub.download import PREFIX, fetch
from lexitok.hub.gguf_files import GgufFile
from lexitok.hub.read_parameters import check_tensors, read_parameters
from lexitok.hub.stored_tensors import HubError
from lexitok.text.gguf_tokenizer import gguf_tokenizer
from lexitok.text.padded_tokenizer import PaddedTokenizer
from lexitok.text.tokenizer_files import IN_DIRECTORY, load_tokenizer
from lexitok.text.vocabulary import Tokenizer

log = logging.getLogger(__name__)
_HAS_TOKENIZER = "tokenizer.ggml.model"  # metadata of a GGUF


class Pretrained(NamedTuple):
    """A model that comes from elsewhere.

    Attributes:
      model: `TokenLM`.
      tokenizer: with as many ids as the model's table has rows; None: the checkpoint has none.
      config: the whole tree; `config.pretrained` says where it came from.
    """

    model: Any
    tokenizer: Tokenizer | None
    config: ConfigDict


def load(
    path_or_name: str | Path,
    *,
    mesh: Mesh | None = None,
    dtype: str | None = None,
    tokenizer: str | Path | None = None,
) -> Pretrained:
    """Loads a directory in Hugging Face's layout, a GGUF, or, by its name, a model of the Hugging Face hub.

    Beside the parameters themselves the host holds no more than one device's share of the largest of them (see
    `lexitok.hub.read_parameters`): a model that fits on the mesh loads on hosts that it does not fit on.

    Args:
      path_or_name: a path; or `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION`, which is the only way to a download.
      mesh: that the parameters are split over; None: all on the default device.
      dtype: of matrices and tables: `float32` (None), `bfloat16`, `float16`. Norms and biases are float32.
      tokenizer: a file or directory with the tokenizer; None: what lies with the checkpoint.

    Raises:
      HubError: there is no such checkpoint, it is damaged, of an unknown architecture, or has settings that lexitok
        has not; its tensors do not fit its config; or its tokenizer does not fit its table.
    """
    if dtype is not None and dtype not in FLOATS:
        raise HubError(f"unknown dtype '{dtype}'; there are {', '.join(FLOATS)}")
    path, description = described(path_or_name)
    tokens = tokenizer_of(path if tokenizer is None else Path(tokenizer), description)
    return Pretrained(read_model(description, mesh=mesh, dtype=dtype), tokens, description.config())


def described(path_or_name: str | Path) -> tuple[Path, Description]:
    """Where a checkpoint lies and what it holds, checked, its tensors unread; arguments and errors are those of `load`.

    It is what `read_model` takes, for who needs the model and no tokenizer.
    """
    name = str(path_or_name)
    path = fetch(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else Path(path_or_name).expanduser()
    description = describe(path)
    _check_fits(description)
    return path, description


def _check_fits(description: Description) -> None:
    """Raises a `HubError` if the checkpoint's tensors are not those that its config describes; reads none of them."""
    like = abstract_model(description.model, description.V, description.source)
    left_aside = list(description.family.left_aside)
    if description.model.interface.tied == "yes":
        left_aside += [f"^{description.places['interface.head'].name}$"]  # written by some, and without effect
    check_tensors(like, description.places, description.files, description.sizes, left_aside, description.source)


def read_model(description: Description, *, mesh: Mesh | None = None, dtype: str | None = None) -> Any:
    """The model of a checkpoint that was checked; `mesh` and `dtype` are those of `load`."""
    like = abstract_model(description.model, description.V, description.source)
    places, files, sizes = description.places, description.files, description.sizes
    return read_parameters(like, places, files, sizes, mesh=mesh, dtype=dtype or "float32")


def tokenizer_of(path: Path, description: Description) -> Tokenizer | None:
    """The tokenizer that lies at `path`, with ids that never come up for further rows of the checkpoint's table.

    Raises:
      HubError: it cannot be read, or has more ids than the table has rows.
    """
    try:
        if path.is_dir() and not any((path / name).exists() for name in IN_DIRECTORY):
            return None
        if str(path) != description.source or not isinstance(description.files, GgufFile):
            return fitted(load_tokenizer(path), description.V, str(path))
        metadata = description.files.metadata  # read once: a vocabulary takes a while
        if _HAS_TOKENIZER not in metadata:
            return None
        return fitted(gguf_tokenizer(metadata, str(path)), description.V, str(path))
    except HubError:
        raise
    except (ValueError, OSError) as error:
        raise HubError(f"the tokenizer of {path} cannot be read: {error}") from error


def fitted(tokenizer: Tokenizer, V: int, source: str) -> Tokenizer:
    """The tokenizer for a table of `V` rows.

    Raises:
      HubError: it has more ids.
    """
    size = tokenizer.vocabulary.size
    if size > V:
        raise HubError(f"{source}: the tokenizer has {size} ids, and the model's table {V} rows: they do not fit")
    if size == V:
        return tokenizer
    log.info("%s: the table has %d rows for %d ids; the rest is never used", source, V, size)
    return PaddedTokenizer(tokenizer, V)
