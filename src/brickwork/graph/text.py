"""Graphs as text: what logs, tests and pass docstrings show. `parse(print_graph(g)) == g` for every valid graph.

    workflow text-to-image
    doc "A picture of what the prompt says."
    model vae-1a2b {kind="vae", path="models/sd3/vae", dtype="float32", weight_bytes=1024, profile="vae-9f"}
    input %prompt : text {minimum=1} @"poster.py:7"
    %clip = text.clip<clip-1a2b>(text=%prompt) {max_length=12} : hidden embedding[1, 12, 64] float32 @"poster.py:9"
    %denoise = loop %start.value to %steps carry (latents : latent<vae-1a2b>[1, 16, %height.value/8] float32
      = %noise.latent then %euler.latents) do
      ...
    end
    return image=%to_uint8.image

A value is written `%name` or `%name.port`, a size `[height, width]`, what follows `@` is the author's line. The type
that a port expects is not written: in a valid graph it is the type of the value that the port is given. `parse.py`
reads this form.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields

from brickwork.core.model import ModelSpec
from brickwork.graph.ir import Graph, Input, Loop, Node
from brickwork.graph.rewrite import Item
from brickwork.graph.types import Dim, Type


def print_graph(graph: Graph) -> str:
    """The text of a valid graph."""
    lines = [f"workflow {graph.name}"]
    lines += [f"doc {_literal(graph.doc)}"] if graph.doc else []
    lines += [f"model {spec.id}{_table(_options(spec, {'id'}))}" for spec in graph.models]
    lines += [print_input(input_) for input_ in graph.inputs]
    lines += [print_item(item) for item in graph.nodes]
    lines += ["return " + ", ".join(f"{name}=%{value}" for name, value in graph.outputs)]
    return "\n".join(lines) + "\n"


def print_input(input_: Input) -> str:
    table = _table(_options(input_, {"name", "type", "where"}))
    return f"input %{input_.name} : {print_type(input_.type)}{table}{_where(input_.where)}"


def print_item(item: Item, indent: str = "") -> str:
    """One node on one line, or one loop with its body."""
    return _print_loop(item, indent) if isinstance(item, Loop) else _print_node(item, indent)


def print_type(type_: Type) -> str:
    """`text`, or `latent<owner>[1, 16, %height.value/8] float32`."""
    if not type_.is_tensor:
        return type_.space
    owner = f"<{type_.of}>" if type_.of else ""
    return f"{type_.space}{owner}[{', '.join(_print_axis(axis) for axis in type_.shape)}] {type_.dtype}"


def _print_axis(axis: int | Dim) -> str:
    if isinstance(axis, int):
        return str(axis)
    times = f"*{axis.times}" if axis.times != 1 else ""
    return f"%{axis.scalar}{times}" + (f"/{axis.over}" if axis.over != 1 else "")


def _print_node(node: Node, indent: str) -> str:
    model = f"<{node.model}>" if node.model is not None else ""
    arguments = ", ".join(f"{use.port}=%{use.value}" for use in node.inputs)
    outputs = ", ".join(f"{port} {print_type(type_)}" for port, type_ in node.outputs)
    call = f"%{node.name} = {node.op}{model}({arguments}){_table(node.attrs)}"
    return f"{indent}{call} : {outputs}{_where(node.where)}"


def _print_loop(loop: Loop, indent: str) -> str:
    carries = ", ".join(f"{c.name} : {print_type(c.type)} = %{c.init} then %{c.result}" for c in loop.carries)
    head = f"{indent}%{loop.name} = loop %{loop.start} to %{loop.stop} carry ({carries}){_where(loop.where)} do"
    return "\n".join([head, *(print_item(node, indent + "  ") for node in loop.body), f"{indent}end"])


def _options(thing: Input | ModelSpec, without: set[str]) -> list[tuple[str, object]]:
    """The fields of a dataclass that differ from their defaults."""
    named = [(f.name, getattr(thing, f.name), f.default) for f in fields(thing) if f.name not in without]
    return [(name, value) for name, value, default in named if not _is_same(value, default)]


def _is_same(value: object, other: object) -> bool:
    """Equal, and of one type: 0 is not False, and 1 is not 1.0."""
    return value == other and type(value) is type(other)


def _table(options: Iterable[tuple[str, object]]) -> str:
    inner = ", ".join(f"{key}={_literal(value)}" for key, value in options)
    return f" {{{inner}}}" if inner else ""


def _literal(value: object) -> str:
    """A scalar, or a tuple of literals in parentheses; a pair of ints is a size."""
    if isinstance(value, tuple):
        is_size = len(value) == 2 and all(type(side) is int for side in value)
        inner = ", ".join(_literal(item) for item in value)
        return f"[{inner}]" if is_size else f"({inner})"
    if isinstance(value, str | bool):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)


def _where(where: str) -> str:
    return f" @{_literal(where)}" if where else ""
