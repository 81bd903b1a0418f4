"""Small helpers that passes share: who uses what, renaming, and order. Graphs in, graphs out; no policy.

An *item* is what stands in `Graph.nodes`: a Node or a Loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from brickwork.graph.ir import Carry, Graph, Loop, Node, Use
from brickwork.graph.types import INT, Dim, Type

Item = Node | Loop
AnyItem = TypeVar("AnyItem", Node, Loop, Node | Loop)
Rename = Callable[[str], str]


def definer(value: str) -> str:
    """Name of the input, node or loop that defines a value: `clip` of `clip.hidden`."""
    return value.partition(".")[0]


def is_scalar(item: Item) -> bool:
    """True of arithmetic on request inputs, which a plan evaluates and no executor sees."""
    return isinstance(item, Node) and item.op.startswith("scalar.")


def dims_of(type_: Type) -> Iterator[str]:
    """Int values that a type's shape depends on, in order of the axes."""
    return (axis.scalar for axis in type_.shape if isinstance(axis, Dim))


def types_of(item: Item) -> Iterator[Type]:
    """Every type that an item writes down, its body's included."""
    if isinstance(item, Loop):
        yield from (carry.type for carry in item.carries)
        for node in item.body:
            yield from types_of(node)
    else:
        yield from (use.type for use in item.inputs)
        yield from (type_ for _, type_ in item.outputs)


def outputs_of(item: Item) -> tuple[tuple[str, Type], ...]:
    """The values that an item defines for those after it, with their types."""
    if isinstance(item, Loop):
        return tuple((f"{item.name}.{carry.name}", carry.type) for carry in item.carries)
    return tuple((f"{item.name}.{port}", type_) for port, type_ in item.outputs)


def body_values(loop: Loop) -> dict[str, Type]:
    """The values that a loop's body finds beside those of the graph: the index and the carries."""
    return {f"{loop.name}.i": INT} | dict(outputs_of(loop))


def arguments_of(item: Item) -> Iterator[str]:
    """The values from outside that an item is given, in order, repetitions included."""
    if isinstance(item, Node):
        yield from (use.value for use in item.inputs)
        return
    yield from (item.start, item.stop, *(carry.init for carry in item.carries))
    inside = {item.name, *(node.name for node in item.body)}
    for value in (*(v for node in item.body for v in arguments_of(node)), *(c.result for c in item.carries)):
        if definer(value) not in inside:
            yield value


def needs_of(item: Item) -> Iterator[str]:
    """All values from outside that an item depends on: its arguments, then the dims of its types."""
    yield from arguments_of(item)
    for type_ in types_of(item):
        yield from dims_of(type_)


def rename_type(type_: Type, rename: Rename) -> Type:
    if not any(isinstance(axis, Dim) for axis in type_.shape):
        return type_
    shape = tuple(replace(a, scalar=rename(a.scalar)) if isinstance(a, Dim) else a for a in type_.shape)
    return replace(type_, shape=shape)


def rename_values(item: AnyItem, rename: Rename) -> AnyItem:
    """The same item with every value that it mentions, dims included, passed through `rename`."""
    return _rename_loop(item, rename) if isinstance(item, Loop) else _rename_node(item, rename)


def _rename_loop(loop: Loop, rename: Rename) -> Loop:
    return replace(
        loop,
        start=rename(loop.start),
        stop=rename(loop.stop),
        carries=tuple(_rename_carry(carry, rename) for carry in loop.carries),
        body=tuple(_rename_node(node, rename) for node in loop.body),
    )


def _rename_node(node: Node, rename: Rename) -> Node:
    return replace(
        node,
        inputs=tuple(Use(u.port, rename(u.value), rename_type(u.type, rename)) for u in node.inputs),
        outputs=tuple((port, rename_type(type_, rename)) for port, type_ in node.outputs),
    )


def _rename_carry(carry: Carry, rename: Rename) -> Carry:
    type_ = rename_type(carry.type, rename)
    return replace(carry, type=type_, init=rename(carry.init), result=rename(carry.result))


def models_of(item: Item) -> Iterator[str]:
    """Ids of the models that an item calls, in order, repetitions included."""
    nodes = item.body if isinstance(item, Loop) else (item,)
    return (node.model for node in nodes if node.model is not None)


def with_nodes(graph: Graph, nodes: Iterable[Item]) -> Graph:
    """`graph` with other nodes; its models table is cut to those that they name."""
    nodes = tuple(nodes)
    named = {model for item in nodes for model in models_of(item)}
    return replace(graph, nodes=nodes, models=tuple(spec for spec in graph.models if spec.id in named))
