"""What imports what: no circles, and arrows between rooms that go one way."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "lexitok"
MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}
# From below to above; those of one line may import each other.
FLOORS = (
    {"config", "text", "parameter_names"},
    {"made", "parameter_axes"},
    {"sharding"},
    {"ops"},
    {"data", "nn"},
    {"interfaces"},
    {"models"},
    {"runs"},
    {"hub", "inference", "evals"},
    {"transfer", "distill"},
    {"training"},
    {"analysis"},
)


def packages_of(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def imports_of(module: str) -> set[str]:
    """The modules that have to be there before this one, those that packages import as they are entered among them."""
    found, nodes = set(), list(ast.parse(MODULES[module].read_text()).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "lexitok":
            for name in node.names:
                own = f"{node.module}.{name.name}"
                target = own if own in MODULES else node.module
                found |= {target, *packages_of(target)}
        nodes.extend(ast.iter_child_nodes(node))
    return found - {module, *packages_of(module)}


def test_no_module_has_to_be_there_before_itself():
    """In a circle it depends on which module is imported first whether any of them can be."""
    sorter = TopologicalSorter({module: imports_of(module) for module in MODULES})
    try:
        sorter.prepare()
    except CycleError as error:
        pytest.fail(f"imports go in a circle: {' <- '.join(error.args[1])}")


def test_rooms_import_only_what_is_below_them():
    """So that a room can be read, and changed, without those above it."""
    floor_of = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}
    wrong = []
    for module in MODULES:
        for other in imports_of(module):
            room, below = (".".join(name.split(".")[1:2]) for name in (module, other))
            if room and below and room != below and floor_of[below] > floor_of[room]:
                wrong.append(f"{module} imports {other}")
    assert not wrong


@pytest.mark.parametrize("first", ["config", "text", "ops"])
def test_the_lowest_rooms_stand_alone(first):
    """They are what one reads first, and text is used without JAX."""
    rooms = {other.split(".")[1] for m in MODULES if m.split(".")[1:2] == [first] for other in imports_of(m)}
    assert rooms - {first} <= ({"sharding"} if first == "ops" else set())
