"""Published vocabularies and checkpoints, which come as packages, and the library that others read them with."""

import importlib.util
import os
import sys
from pathlib import Path


def data_of(package: str) -> Path:
    """The folder `data` of an installed package, which may not be possible to import."""
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None, f"{package} is missing: make .venv/test .venv/real"
    return Path(spec.origin).parent / "data"


def torch_python() -> str | None:
    """An interpreter that has torch and transformers: `LEXITOK_TORCH_PYTHON`, or this one."""
    named = os.environ.get("LEXITOK_TORCH_PYTHON")
    return named or (sys.executable if importlib.util.find_spec("torch") else None)
