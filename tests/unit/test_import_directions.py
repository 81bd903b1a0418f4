"""Goal: the rooms depend on each other as `docs/internals/layout.md` says, and the torch-free ones stay torch-free.

Method: the import statements of every source file are read (the interpreter loads some modules anyway, so looking at
`sys.modules` alone would tell nothing about who asked); then each torch-free room is imported in a fresh interpreter,
and torch must not have come with it. Imports inside functions count: a lazy import is an import.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import brickwork

SOURCE = Path(brickwork.__file__).parent
ROOMS = sorted(path.name for path in SOURCE.iterdir() if path.is_dir() and (path / "__init__.py").exists())

MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "graph": {"core"},
    "compiler": {"core", "graph"},
    "workflow": {"core", "graph", "compiler"},
    "profile": {"core"},
    "observe": {"core"},
    "control": {"core", "graph", "compiler", "profile"},
    "router": {"core", "control"},
    "node_manager": {"core", "control"},
    "sim": {"core", "graph", "compiler", "profile", "control", "router", "node_manager", "observe", "load"},
    "wire": {"core", "compiler", "graph", "observe"},
    "data": {"core"},
    "load": {"core", "client"},
}
"""Rooms not listed drive or serve the others, and have rules of their own below."""

NEVER = {
    "control": {"asyncio", "time", "random", "socket", "torch", "threading", "os", "secrets", "uuid"},
    "router": {"asyncio", "time", "random", "socket", "torch"},
    "node_manager": {"asyncio", "time", "random", "socket", "torch"},
    "compiler": {"asyncio", "time", "random", "socket", "torch"},
    "graph": {"asyncio", "time", "random", "socket", "torch", "os"},
    "sim": {"torch", "socket"},
    "workflow": {"torch", "diffusers", "transformers", "numpy"},
    "wire": {"pickle", "torch"},
}

TORCH_FREE = ["core", "graph", "compiler", "workflow", "profile", "control", "sim", "wire", "observe", "load"]


def imports(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, wherever in the file; typing-only imports are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide directions"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_of(room: str) -> Iterator[tuple[Path, str]]:
    for path in sorted((SOURCE / room).rglob("*.py")):
        for name in imports(path):
            yield path.relative_to(SOURCE), name


def test_the_rooms_under_test_exist() -> None:
    assert {"core", "graph", "compiler", "workflow", "control"} <= set(ROOMS)


@pytest.mark.parametrize("room", [room for room in MAY_IMPORT if room in ROOMS])
def test_arrows_point_one_way(room: str) -> None:
    bent = [
        f"{path} imports {name}"
        for path, name in imports_of(room)
        if name.startswith("brickwork.") and name.split(".")[1] not in {room, "_native", *MAY_IMPORT[room]}
    ]
    assert not bent


@pytest.mark.parametrize("room", [room for room in NEVER if room in ROOMS])
def test_what_decides_knows_no_clock_no_chance_and_no_wire(room: str) -> None:
    found = [f"{path} imports {name}" for path, name in imports_of(room) if name.split(".")[0] in NEVER[room]]
    assert not found


def test_control_sees_plans_only() -> None:
    """Of the compiler, control knows the plan and what a plan is for one request; of the graph, nothing by itself."""
    allowed = ("brickwork.compiler.plan", "brickwork.compiler.instance")
    found = [
        f"{path} imports {name}"
        for path, name in imports_of("control")
        if name.startswith(("brickwork.compiler", "brickwork.graph")) and not name.startswith(allowed)
    ]
    assert not found


@pytest.mark.parametrize(("room", "other"), [("sim", "coordinator"), ("coordinator", "sim")])
def test_the_two_drivers_never_meet(room: str, other: str) -> None:
    assert room in ROOMS
    assert not [f"{path} imports {name}" for path, name in imports_of(room) if name.startswith(f"brickwork.{other}")]


def test_nobody_unpickles() -> None:
    """Pickle on a wire or from a file runs code. (multiprocessing's own start of a process is not ours to see.)"""
    found = [
        f"{path.relative_to(SOURCE)} imports {name}"
        for path in sorted(SOURCE.rglob("*.py"))
        for name in imports(path)
        if name.split(".")[0] in ("pickle", "cloudpickle", "dill", "marshal", "shelve")
    ]
    assert not found


FAMILIES = [
    "brickwork.starter.workflows",
    *(f"brickwork.models.{name}.family" for name in ("sd15", "sdxl", "sd3", "flux", "qwen", "upscale")),
]


@pytest.mark.parametrize("module", ["brickwork", *(f"brickwork.{room}" for room in TORCH_FREE), *FAMILIES])
def test_a_fresh_interpreter_stays_without_torch(module: str) -> None:
    """The room is imported with all its modules; torch and what builds on it must not come along."""
    script = f"""
import importlib, pkgutil, sys
room = importlib.import_module({module!r})
if {module!r} != "brickwork":
    for found in pkgutil.walk_packages(getattr(room, "__path__", []), {module!r} + "."):
        importlib.import_module(found.name)
print(*sorted({{"torch", "diffusers", "transformers", "numpy", "asyncio"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    heavy = set(done.stdout.split())
    assert not heavy & {"torch", "diffusers", "transformers"}
    if module in ("brickwork", "brickwork.workflow", "brickwork.graph", "brickwork.compiler"):
        assert not heavy, "declaring a workflow must stay quick"


def test_public_names_are_all_there() -> None:
    lazy = {"run", "Cluster", "Client", "AsyncClient"}
    for name in set(brickwork.__all__) - lazy:
        assert getattr(brickwork, name) is not None
    assert callable(brickwork.workflow), "the decorator, not the package of the same name"
    with pytest.raises(AttributeError, match="has no attribute 'workflows'"):
        _ = brickwork.workflows
