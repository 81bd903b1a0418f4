"""Programs in local names: equal work gets an equal program id, whatever workflow it came from.

Items are walked depth first from what leaves the task, inputs in port order, so the author's order of lines does not
matter. In this order params are numbered p0, p1, ... at their first use and items n0, n1, ...; an int that a shape
depends on is a param, too. Lines and names of the author are dropped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from brickwork.compiler.plan import Program, ProgramId, Role, Work
from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec
from brickwork.graph.ir import Loop, Node
from brickwork.graph.rewrite import (
    Item,
    Rename,
    definer,
    models_of,
    needs_of,
    outputs_of,
    rename_type,
    rename_values,
)  # fmt: skip
from brickwork.graph.types import Type

ID_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Canonical:
    """A program, and the values of the workflow that its params and results stand for."""

    program: Program
    args: tuple[str, ...]
    results: tuple[str, ...]


def canonical(
    items: Sequence[Item],
    roles: Sequence[Role],
    leaving: Sequence[str],
    types: Mapping[str, Type],
    specs: Mapping[ModelId, ModelSpec],
) -> Canonical:
    """The program of a task.

    items     of the task, in graph order
    roles     of its loop, in the workflow's names
    leaving   the values that others read, in any order
    types     of every value of the workflow
    """
    ordered = _walk({item.name: item for item in items}, leaving)
    results = tuple(value for item in ordered for value, _ in outputs_of(item) if value in leaving)
    names = {name: f"n{k}" for k, name in enumerate(_names(ordered))}
    outside = (value for item in ordered for value in needs_of(item) if definer(value) not in names)
    params = {value: f"p{k}" for k, value in enumerate(dict.fromkeys(outside))}
    rename = _renamer(names, params)
    program = Program(
        id=ProgramId(""),
        params=tuple((local, rename_type(types[value], rename)) for value, local in params.items()),
        body=tuple(_localise(item, names, rename) for item in ordered),
        results=tuple((rename(value), rename_type(types[value], rename)) for value in results),
        models=tuple(sorted({ModelId(model) for item in ordered for model in models_of(item)})),
        roles=tuple(replace(role, nodes=tuple(names[node] for node in role.nodes)) for role in roles),
        work=tuple(_work(ordered, rename, specs)),
    )
    digest = hashlib.sha256(repr(program).encode()).hexdigest()[:ID_DIGITS]
    return Canonical(replace(program, id=ProgramId(f"program-{digest}")), tuple(params), results)


def _walk(items: Mapping[str, Item], leaving: Sequence[str]) -> list[Item]:
    """Items in depth-first order, each after those it reads; starting points are told apart by what they are."""
    read = {definer(value) for item in items.values() for value in needs_of(item)}
    ends = [item for name, item in items.items() if name not in read]
    order: dict[str, Item] = {}

    def visit(item: Item) -> None:
        for value in needs_of(item):
            if (name := definer(value)) in items and name not in order:
                visit(items[name])
        order.setdefault(item.name, item)

    for item in sorted(ends, key=_kind):
        visit(item)
    return list(order.values())


def _kind(item: Item) -> tuple[str, ...]:
    """What an item is, without any name: operations, models and attributes."""
    nodes = item.body if isinstance(item, Loop) else (item,)
    return tuple(f"{node.op} {node.model} {node.attrs!r}" for node in nodes)


def _names(items: Sequence[Item]) -> Iterator[str]:
    for item in items:
        yield item.name
        if isinstance(item, Loop):
            yield from (node.name for node in item.body)


def _renamer(names: Mapping[str, str], params: Mapping[str, str]) -> Rename:
    def rename(value: str) -> str:
        name, dot, port = value.partition(".")
        return f"{names[name]}{dot}{port}" if name in names else params[value]

    return rename


def _localise(item: Item, names: Mapping[str, str], rename: Rename) -> Item:
    item = replace(rename_values(item, rename), name=names[item.name], where="")
    if isinstance(item, Loop):
        return replace(item, body=tuple(replace(node, name=names[node.name], where="") for node in item.body))
    return item


def _work(items: Sequence[Item], rename: Rename, specs: Mapping[ModelId, ModelSpec]) -> Iterator[Work]:
    for item in items:
        trips = (rename(item.start), rename(item.stop)) if isinstance(item, Loop) else None
        for node in item.body if isinstance(item, Loop) else (item,):
            if node.model is not None:
                key = f"{specs[node.model].profile}/{node.op}"
                yield Work(key, rename_type(_main_tensor(node), rename), _rows(node, rename), trips)


def _main_tensor(node: Node) -> Type:
    """The type whose shape decides how long the model takes: its first tensor input, or its first output."""
    tensors = [use.type for use in node.inputs if use.type.is_tensor]
    return tensors[0] if tensors else node.outputs[0][1]


def _rows(node: Node, rename: Rename) -> int | str:
    """Rows that one request adds to a call: what an int port of that name says, otherwise one."""
    return next((rename(use.value) for use in node.inputs if use.port == "rows"), 1)
