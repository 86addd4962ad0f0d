"""Scripts answer before what takes seconds is imported: their flags, and what is wrong with them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
LATE = {  # these name what there is of something that is not light
    *("add_tokens.py", "dynamic.py", "transfer.py", "transfer_table.py"),
    *("counting.py", "decipher.py"),
}
SCRIPTS = sorted(
    path for path in (*EXPERIMENTS.glob("*.py"), *EXPERIMENTS.glob("probes/*.py")) if path.name not in LATE
)


def imported(path: Path) -> set[str]:
    """Modules that a script imports before it does anything."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        names |= {node.module} if isinstance(node, ast.ImportFrom) and node.module else set()
        names |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
    return names


def test_flags_are_known_before_jax_is():
    """By what scripts import; of all together, in one process."""
    assert len(SCRIPTS) > 14
    modules = sorted(set().union(*map(imported, SCRIPTS)))
    code = f"import sys, {', '.join(modules)}; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_help_is_of_the_script(path):
    """Every flag that it has, by name."""
    done = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True, check=False)
    flags = [
        node.args[0].value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "").startswith("DEFINE_")
    ]
    assert all(name in done.stdout for name in flags), done.stderr


def test_the_means_of_an_ensemble_are_those_that_there_are():
    """The script names them by itself."""
    from lexitok.models.ensemble import MEANS

    assert str(list(MEANS)).replace("'", '"') in (EXPERIMENTS / "evaluate.py").read_text()
