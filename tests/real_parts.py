"""Published vocabularies and checkpoints, which come as packages."""

import importlib.util
from pathlib import Path


def data_of(package: str) -> Path:
    """The folder `data` of an installed package, which may not be possible to import."""
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None, f"{package} is missing: make .venv/test .venv/real"
    return Path(spec.origin).parent / "data"
