"""What makes a graph valid, executable. Every rule of the graph language is checked here and nowhere else.

The compiler calls it before and after each pass; the tracer calls it on every workflow, as a last line of defence
behind its own, earlier errors. An error names the node and the author's line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import NoReturn

from brickwork.core.errors import WorkflowError
from brickwork.core.request import Scalar
from brickwork.core.tensor import ITEM_BYTES
from brickwork.graph.ir import Graph, Input, Loop, Node
from brickwork.graph.rewrite import body_values, definer, dims_of, is_scalar, models_of, outputs_of, types_of
from brickwork.graph.scalars import CONST, result_type, type_of
from brickwork.graph.types import INT, SCALAR_SPACES, SIZE, Dim, Type

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.+-]*\Z")
"""Of operations, models, owners of spaces and workflows."""


def verify(graph: Graph) -> None:
    """Raise WorkflowError unless `graph` obeys every rule of `graph/ir.py`."""
    if not WORD.match(graph.name):
        _fail(f"the workflow's name {graph.name!r} is not a word")
    _check_names(graph)
    ints = _top_level_ints(graph)
    values: dict[str, Type] = {}
    for input_ in graph.inputs:
        _check_input(input_, ints)
        values[input_.name] = input_.type
    for item in graph.nodes:
        if isinstance(item, Loop):
            _check_loop(item, values)
        else:
            _check_node(item, values)
        values.update(outputs_of(item))
    _check_outputs(graph, values)
    _check_models(graph)


def _fail(message: str, where: str = "") -> NoReturn:
    raise WorkflowError(message, where or None)


def _check_names(graph: Graph) -> None:
    seen: set[str] = set()
    for thing in (*graph.inputs, *graph.nodes, *(n for i in graph.nodes if isinstance(i, Loop) for n in i.body)):
        if not NAME.match(thing.name):
            _fail(f"{thing.name!r} is not a name (letters, digits and _)", thing.where)
        if thing.name in seen:
            _fail(f"{thing.name} is defined twice", thing.where)
        seen.add(thing.name)


def _top_level_ints(graph: Graph) -> dict[str, Type]:
    """Int values outside loops. A tensor input's shape may depend on any of them, wherever it stands."""
    values = [(input_.name, input_.type) for input_ in graph.inputs]
    values += [output for item in graph.nodes for output in outputs_of(item)]
    return {name: type_ for name, type_ in values if type_ == INT}


def _check_input(input_: Input, ints: Mapping[str, Type]) -> None:
    _check_type(input_.name, input_.type, ints, input_.where)
    if input_.default is not None:
        _check_default(input_)
    if wrong := [choice for choice in input_.choices if type_of(choice) != input_.type]:
        _fail(f"{input_.name}: choice {wrong[0]!r} is no {input_.type.space}", input_.where)
    for bound in (input_.minimum, input_.maximum):
        if bound is not None and not math.isfinite(bound):
            _fail(f"{input_.name}: a bound is {bound}", input_.where)


def _check_default(input_: Input) -> None:
    if input_.type == SIZE and input_.default == "auto":
        return
    if type_of(input_.default) != input_.type:
        _fail(f"{input_.name}: expected a default of {input_.type.space}, got {input_.default!r}", input_.where)


def _check_type(name: str, type_: Type, values: Mapping[str, Type], where: str) -> None:
    if type_.is_tensor == (type_.space in SCALAR_SPACES):
        _fail(f"{name}: a {type_.space} {'has no' if type_.is_tensor else 'needs a'} dtype", where)
    if not type_.is_tensor:
        if type_.shape or type_.of:
            _fail(f"{name}: a {type_.space} has neither shape nor owner", where)
        return
    if type_.dtype not in ITEM_BYTES:
        _fail(f"{name}: unknown dtype {type_.dtype!r}", where)
    if not NAME.match(type_.space) or (type_.of and not WORD.match(type_.of)):
        _fail(f"{name}: {type_.space!r} of {type_.of!r} is not a space", where)
    for axis in type_.shape:
        _check_axis(name, axis, where)
    for scalar in dims_of(type_):
        if values.get(scalar) != INT:
            _fail(f"{name}: its shape depends on {scalar}, which is no int defined before it", where)


def _check_axis(name: str, axis: int | Dim, where: str) -> None:
    sizes = (axis.times, axis.over) if isinstance(axis, Dim) else (axis,)
    if any(isinstance(size, bool) or size < 1 for size in sizes):
        _fail(f"{name}: an axis of {axis} is not positive", where)


def _check_node(node: Node, values: Mapping[str, Type]) -> None:
    if not WORD.match(node.op):
        _fail(f"{node.name}: {node.op!r} is not an operation", node.where)
    _check_ports(node)
    for use in node.inputs:
        if use.value not in values:
            _fail(f"{node.name}: {use.port} uses {use.value}, which is not defined before it", node.where)
        if use.type != values[use.value]:
            _fail(f"{node.name}: {use.port} expects {use.type}, but {use.value} is {values[use.value]}", node.where)
    for port, type_ in node.outputs:
        _check_type(f"{node.name}.{port}", type_, values, node.where)
    for key, value in node.attrs:
        _check_attr(node, key, value)
    if is_scalar(node):
        _check_scalar(node)
    elif not all(type_.is_tensor for _, type_ in node.outputs):
        _fail(f"{node.name}: only scalar.* operations have outputs that are not tensors", node.where)


def _check_ports(node: Node) -> None:
    if not node.outputs:
        _fail(f"{node.name} has no output", node.where)
    for kind, ports in (
        ("input", [use.port for use in node.inputs]),
        ("output", [port for port, _ in node.outputs]),
        ("attribute", [key for key, _ in node.attrs]),
    ):
        if wrong := [port for port in ports if not NAME.match(port)]:
            _fail(f"{node.name}: {kind} {wrong[0]!r} is not a name", node.where)
        if len(set(ports)) != len(ports):
            _fail(f"{node.name}: an {kind} appears twice", node.where)


def _check_attr(node: Node, key: str, value: Scalar) -> None:
    if type_of(value) is None:
        _fail(f"{node.name}: attribute {key} is {value!r}, which is no finite scalar", node.where)


def _check_scalar(node: Node) -> None:
    if node.model is not None:
        _fail(f"{node.name}: {node.op} takes no model", node.where)
    if [port for port, _ in node.outputs] != ["value"]:
        _fail(f"{node.name}: {node.op} has one output, value", node.where)
    takes = tuple(use.type for use in node.inputs)
    if node.op == CONST:
        expected = type_of(dict(node.attrs).get("value")) if not takes and len(node.attrs) == 1 else None
    else:
        expected = result_type(node.op, takes) if not node.attrs else None
    if expected is None:
        spaces = ", ".join(type_.space for type_ in takes) or "nothing"
        _fail(f"{node.name}: there is no {node.op} of {spaces}", node.where)
    if node.outputs[0][1] != expected:
        _fail(f"{node.name}: {node.op} gives {expected.space}", node.where)


def _check_loop(loop: Loop, values: Mapping[str, Type]) -> None:
    for bound in (loop.start, loop.stop):
        if values.get(bound) != INT:
            _fail(f"{loop.name}: its bound {bound} is no int defined before it", loop.where)
    names = [carry.name for carry in loop.carries]
    if not names or not loop.body or len(set(names)) != len(names) or "i" in names:
        _fail(f"{loop.name}: a loop has a body and carries with different names, none of them i", loop.where)
    for carry in loop.carries:
        if not NAME.match(carry.name) or not carry.type.is_tensor:
            _fail(f"{loop.name}: carry {carry.name!r} is not a named tensor", loop.where)
        _check_type(f"{loop.name}.{carry.name}", carry.type, values, loop.where)
        _check_end(loop, carry.name, "starts", carry.type, carry.init, values)
    inside = dict(values) | body_values(loop)
    for node in loop.body:
        if not isinstance(node, Node) or is_scalar(node):
            _fail(f"{loop.name}: {node.name} may not stand in a loop's body", node.where)
        _check_node(node, inside)
        if f"{loop.name}.i" in {scalar for type_ in types_of(node) for scalar in dims_of(type_)}:
            _fail(f"{node.name}: a shape may not depend on the trip of a loop", node.where)
        inside.update(outputs_of(node))
    for carry in loop.carries:
        _check_end(loop, carry.name, "ends", carry.type, carry.result, inside)


def _check_end(loop: Loop, name: str, verb: str, type_: Type, value: str, values: Mapping[str, Type]) -> None:
    if value not in values:
        _fail(f"{loop.name}: carry {name} {verb} as {value}, which is not defined there", loop.where)
    if values[value] != type_:
        _fail(f"{loop.name}: carry {name} is {type_}, but {verb} as {values[value]}", loop.where)


def _check_outputs(graph: Graph, values: Mapping[str, Type]) -> None:
    names = [name for name, _ in graph.outputs]
    if not names or len(set(names)) != len(names) or not all(NAME.match(name) for name in names):
        _fail(f"{graph.name}: a workflow returns one or more values with different names")
    for name, value in graph.outputs:
        if value not in values:
            _fail(f"{graph.name}: result {name} is {value} of {definer(value)}, which is not defined")


def _check_models(graph: Graph) -> None:
    ids = [spec.id for spec in graph.models]
    if ids != sorted(set(ids)):
        _fail(f"{graph.name}: its models are not sorted by id, or one appears twice")
    _check_same(graph, set(ids), (model for item in graph.nodes for model in models_of(item)))
    if wrong := [model for model in ids if not WORD.match(model)]:
        _fail(f"{graph.name}: {wrong[0]!r} is not a model id")


def _check_same(graph: Graph, listed: set[str], named: Iterable[str]) -> None:
    if difference := sorted(listed.symmetric_difference(named)):
        _fail(f"{graph.name}: model {difference[0]} is listed or named, but not both")
