"""Goal: control and simulator stay pure: no clock, chance, sockets or torch in control, no live driver in sim.

Method: read the imports from the source, since the interpreter loads some of these modules by itself.
"""

import ast
from pathlib import Path

import pytest

import brickwork.control
import brickwork.profile
import brickwork.sim

CONTROL = Path(brickwork.control.__path__[0])
SIM = Path(brickwork.sim.__path__[0])
PROFILE = Path(brickwork.profile.__path__[0])


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def offences(room: Path, *forbidden: str) -> list[str]:
    files = sorted(room.glob("**/*.py"))
    assert files
    return [
        f"{path.name} imports {name}"
        for path in files
        for name in sorted(imported(path))
        if any(name == bad or name.startswith(bad + ".") for bad in forbidden)
    ]


@pytest.mark.parametrize("bad", ["asyncio", "time", "random", "socket", "torch", "datetime", "os", "threading"])
def test_control_is_pure(bad: str) -> None:
    assert offences(CONTROL, bad) == []


def test_control_knows_no_driver() -> None:
    rooms = ("coordinator", "executor", "sim", "wire", "data", "fleet", "models", "cli")
    assert offences(CONTROL, *(f"brickwork.{room}" for room in rooms)) == []


def test_sim_never_meets_the_live_drivers() -> None:
    rooms = ("coordinator", "executor", "wire", "data", "fleet", "models", "cli")
    found = offences(SIM, "asyncio", "torch", "socket", "time", *(f"brickwork.{room}" for room in rooms))
    assert found == ["virtual_loop.py imports asyncio"]  # which it gives a virtual clock


def test_the_profile_table_knows_only_core() -> None:
    table = imported(PROFILE / "table.py") | imported(PROFILE / "correction.py")
    assert {name for name in table if name.startswith("brickwork")} <= {"brickwork.core.model"}
