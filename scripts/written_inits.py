"""Writes the `__init__` of dataclasses out, for mypyc.

mypyc calls an `__init__` that it compiled like any other function, but leaves the one that `dataclass` makes to the
interpreter, and events, orders and records are made for every request. So what is compiled is a copy of each module in
which it is written out, in place of the blank line after the fields: all lines keep their numbers.

Frozen classes lose their guard at run time, as those of `record` do: nobody sets their fields, the type checker said.
"""

import ast
import re

DECORATORS = {"dataclass", "record"}


def with_inits(source: str) -> str:
    """The module with the `__init__` of each dataclass written out."""
    lines = [*source.splitlines(), ""]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and (fields := _fields(node)):
            lines[lines.index("", fields[-1].end_lineno)] = f"    {_init(fields)}"
    text = "\n".join(lines)
    text = re.sub(r"@(dataclass|record)\(frozen=True, slots=True\)", "@dataclass(slots=True, unsafe_hash=True)", text)
    return text.replace("from brickwork.core.record import record", "from dataclasses import dataclass")


def _fields(node: ast.ClassDef) -> list[ast.AnnAssign]:
    """The fields of a dataclass; none of anything else."""
    decorators = {ast.unparse(each.func) for each in node.decorator_list if isinstance(each, ast.Call)}
    return [each for each in node.body if isinstance(each, ast.AnnAssign)] if decorators & DECORATORS else []


def _init(fields: list[ast.AnnAssign]) -> str:
    parameters = ", ".join([_parameter(field) for field in fields])
    return f"def __init__(self, {parameters}) -> None: {'; '.join([_assignment(field) for field in fields])}"


def _parameter(field: ast.AnnAssign) -> str:
    name, kind = ast.unparse(field.target), ast.unparse(field.annotation)
    if field.value is None:
        return f"{name}: {kind}"
    return f"{name}: {kind} | None = None" if _factory(field) else f"{name}: {kind} = {ast.unparse(field.value)}"


def _assignment(field: ast.AnnAssign) -> str:
    name, factory = ast.unparse(field.target), _factory(field)
    return f"self.{name} = {factory}() if {name} is None else {name}" if factory else f"self.{name} = {name}"


def _factory(field: ast.AnnAssign) -> str:
    """What makes the field's default anew for each object; "" when nothing does."""
    match field.value:
        case ast.Call(func=ast.Name("field"), args=[], keywords=[ast.keyword("default_factory", made)]):
            return ast.unparse(made)
        case ast.Call(func=ast.Name("field")):
            raise ValueError(f"{ast.unparse(field)}: of field() only default_factory can be written out")
    return ""
