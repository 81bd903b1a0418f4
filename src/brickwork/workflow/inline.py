"""A workflow called inside another one: its graph is copied in, under fresh names, with the caller's values.

The limits that its models put on its inputs pass on to the caller's inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from brickwork.core.errors import InputError
from brickwork.graph.ir import Graph, Input, Loop, Node
from brickwork.graph.rewrite import Item, is_scalar, outputs_of, rename_type, rename_values
from brickwork.graph.scalars import CONST
from brickwork.workflow.arguments import constrain, expect, fit_image
from brickwork.workflow.inputs import check
from brickwork.workflow.lines import mistake
from brickwork.workflow.trace import Tracer, Value, constant, current


def inline(graph: Graph, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Value | dict[str, Value]:
    """Add `graph` to the workflow being declared; returns its value, or a dict when it has several."""
    tracer = current(f"workflow {graph.name}")
    given = _bind(graph, args, kwargs)
    new: dict[str, Value] = {}
    for input_ in graph.inputs:
        if not input_.type.is_tensor:
            new[input_.name] = _scalar_argument(graph, input_, given.get(input_.name))
    for item in graph.nodes:
        if is_scalar(item):
            assert isinstance(item, Node)
            new[f"{item.name}.value"] = _copy_scalar(tracer, item, new)
    for input_ in graph.inputs:
        if input_.type.is_tensor:
            new[input_.name] = _image_argument(graph, input_, given.get(input_.name), new)
    for spec in graph.models:
        tracer.models.setdefault(spec.id, spec)
    for item in graph.nodes:
        if not is_scalar(item):
            _copy(tracer, item, new)
    results = {name: new[value] for name, value in graph.outputs}
    return next(iter(results.values())) if len(results) == 1 else results


def _bind(graph: Graph, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    names = [input_.name for input_ in graph.inputs]
    if len(args) > len(names):
        raise mistake(f"{graph.name} takes {len(names)} inputs ({', '.join(names)}), got {len(args)}")
    given = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name not in names or name in given:
            problem = "is given twice" if name in given else "is no input"
            raise mistake(f"{graph.name}: {name} {problem}; it takes {', '.join(names)}")
        given[name] = value
    return given


def _scalar_argument(graph: Graph, input_: Input, given: Any) -> Value:
    label = f"{graph.name}: {input_.name}"
    if not isinstance(given, Value):
        try:
            return constant(check(input_, given))
        except InputError as error:
            raise mistake(f"{label}: {error.message}") from None
    value = expect(label, given, input_.type)
    limits = ("minimum", "maximum", "multiple_of", "choices", "words", "max_words", "max_chars")
    constrain(label, value, **{limit: getattr(input_, limit) for limit in limits})
    return value


def _image_argument(graph: Graph, input_: Input, given: Any, new: Mapping[str, Value]) -> Value:
    label = f"{graph.name}: {input_.name}"
    if not isinstance(given, Value):
        raise mistake(f"{label}: expected an image of this workflow, got {given!r}")
    return fit_image(label, given, rename_type(input_.type, _renamer({}, new)))


def _copy_scalar(tracer: Tracer, node: Node, new: Mapping[str, Value]) -> Value:
    if node.op == CONST:
        return constant(dict(node.attrs)["value"])
    uses = tuple(replace(use, value=new[use.value].name) for use in node.inputs)
    return tracer.add_scalar(node.op, uses, node.outputs[0][1], node.attrs)


def _copy(tracer: Tracer, item: Item, new: dict[str, Value]) -> None:
    """Append a renamed copy of a node or loop; record its values in `new`."""
    if tracer.body is not None:
        raise mistake("a workflow can't be called inside a loop's body")
    inner = item.body if isinstance(item, Loop) else ()
    names = {thing.name: tracer.fresh(thing.name) for thing in (item, *inner)}
    copy = rename_values(item, _renamer(names, new))
    if isinstance(copy, Loop):
        copy = replace(copy, body=tuple(replace(node, name=names[node.name]) for node in copy.body))
    copy = replace(copy, name=names[item.name])
    tracer.nodes.append(copy)
    for (old, _), (value, type_) in zip(outputs_of(item), outputs_of(copy), strict=True):
        new[old] = Value(tracer, value, type_)


def _renamer(names: Mapping[str, str], new: Mapping[str, Value]) -> Callable[[str], str]:
    """Values of the item itself by its new name, all others by the value that took their place."""

    def rename(value: str) -> str:
        name, dot, port = value.partition(".")
        return f"{names[name]}{dot}{port}" if name in names else new[value].name

    return rename
