"""Goal: writing the `__init__` of dataclasses out changes how fast they are made, and nothing else.

Method: a module with every kind of field is run as it is and rewritten; the modules that are really compiled keep their
number of lines, and none of their dataclasses is left to the interpreter.
"""

import ast
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"

SAMPLE = '''
from dataclasses import dataclass, field
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


def seen(source: str, file: Path) -> list[object]:
    """What a user of the sample's classes sees."""
    file.write_text(source)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    sample = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sample)
    shelf, other = sample.Shelf(orders=[sample.Order("a")]), sample.Shelf()
    other.orders.append(sample.Order("b", count=2))
    with pytest.raises(TypeError):
        sample.Order()
    return [
        repr(shelf), repr(other), repr(sample.Shelf(other).owner), repr(sample.Shelf()), shelf == other,
        shelf.first() == sample.Order("a", 3), hash(shelf.first()) == hash(sample.Order("a")),
        repr(replace(sample.Order("c"), count=9)), sample.Plain.size,
    ]  # fmt: skip


def test_objects_are_the_same(scripts: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = scripts.written_inits.with_inits(SAMPLE)
    assert written.count("def __init__") == 2
    for name in ("as_it_is", "written"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))  # where dataclass looks names up
    assert seen(written, tmp_path / "written.py") == seen(SAMPLE, tmp_path / "as_it_is.py")


def test_a_field_that_cannot_be_written_out_is_refused(scripts: ModuleType) -> None:
    source = "@dataclass(slots=True)\nclass Order:\n    count: int = field(compare=False)\n"
    with pytest.raises(ValueError, match=r"count: int .* only default_factory"):
        scripts.written_inits.with_inits(source)


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
