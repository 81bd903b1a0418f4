"""Goal: writing the `__init__` of dataclasses out changes how fast they are made, and nothing else.

Method: a module with every kind of field is run as it is and rewritten; the modules that are really compiled keep their
number of lines, and none of their dataclasses is left to the interpreter.
"""

import ast
import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"

SAMPLE = '''
from dataclasses import dataclass, field, replace
from brickwork.core.record import record

@record(frozen=True, slots=True)
class Order:
    name: str  # before everything

    count: int = 3
    """Of what."""

@dataclass(slots=True)
class Shelf:
    owner: "Shelf | None" = None
    orders: list[Order] = field(default_factory=list)
    names: dict[str, "Order"] = field(default_factory=dict)

    def first(self) -> Order:
        return self.orders[0]

class Plain:
    size: int = 1
'''


@pytest.fixture(scope="module")
def scripts() -> ModuleType:
    sys.path.insert(0, str(SCRIPTS))
    try:
        return importlib.import_module("compile_package")
    finally:
        sys.path.remove(str(SCRIPTS))


def seen(source: str) -> list[object]:
    """What a user of the sample's classes sees."""
    names: dict[str, object] = {"__name__": "builtins"}  # where dataclass looks its module up
    exec(source, names)
    Order, Shelf, Plain, replace = (names[name] for name in ("Order", "Shelf", "Plain", "replace"))
    shelf, other = Shelf(orders=[Order("a")]), Shelf()
    other.orders.append(Order("b", count=2))
    with pytest.raises(TypeError):
        Order()
    return [
        repr(shelf), repr(other), repr(Shelf(other).owner), repr(Shelf()), shelf.first() == Order("a", 3),
        hash(Order("a")) == hash(Order("a")), shelf == other, repr(replace(Order("c"), count=9)), Plain.size,
    ]  # fmt: skip


def test_objects_are_the_same(scripts: ModuleType) -> None:
    written = scripts.written_inits.with_inits(SAMPLE)
    assert written.count("def __init__") == 2
    assert seen(written) == seen(SAMPLE)


def definitions(source: str) -> dict[tuple[str, int], list[str]]:
    """The members of every class and function in a module, by its name and line."""
    kinds = (ast.ClassDef, ast.FunctionDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds) and node.name != "__init__"]
    return {(node.name, node.lineno): [ast.unparse(each).split("(")[0] for each in node.body] for node in nodes}


def test_every_compiled_dataclass_is_written_out_and_lines_keep_their_numbers(scripts: ModuleType) -> None:
    for module in scripts.compiled_modules():
        source = (SCRIPTS.parent / module).read_text()
        before, after = definitions(source), definitions(scripts.written_inits.with_inits(source))
        assert before.keys() == after.keys(), module
        has_fields = {
            (node.name, node.lineno)
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.ClassDef) and node.decorator_list
            if any(isinstance(each, ast.AnnAssign) for each in node.body)
        }
        assert {
            place for place in after if "def __init__" in after[place] and before[place] != after[place]
        } == has_fields
