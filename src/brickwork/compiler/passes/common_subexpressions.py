"""Do equal work once: nodes with equal operation, model, inputs, attributes and types become one node.

before
    workflow demo
    model clip-1 {kind="clip_text", path="clip", dtype="float32", weight_bytes=8, profile="clip"}
    input %prompt : text
    %clip = text.clip<clip-1>(text=%prompt) {max_length=12} : hidden embedding[1, 12] float32
    %clip_2 = text.clip<clip-1>(text=%prompt) {max_length=12} : hidden embedding[1, 12] float32
    %clip_3 = text.clip<clip-1>(text=%prompt) {max_length=77} : hidden embedding[1, 12] float32
    %mix = text.mix(a=%clip.hidden, b=%clip_2.hidden, c=%clip_3.hidden) : hidden embedding[1, 12] float32
    return hidden=%mix.hidden
after
    workflow demo
    model clip-1 {kind="clip_text", path="clip", dtype="float32", weight_bytes=8, profile="clip"}
    input %prompt : text
    %clip = text.clip<clip-1>(text=%prompt) {max_length=12} : hidden embedding[1, 12] float32
    %clip_3 = text.clip<clip-1>(text=%prompt) {max_length=77} : hidden embedding[1, 12] float32
    %mix = text.mix(a=%clip.hidden, b=%clip.hidden, c=%clip_3.hidden) : hidden embedding[1, 12] float32
    return hidden=%mix.hidden

`clip_2` repeats `clip`; `clip_3` does not, for its attribute differs. This is sound because every operation is a
function of its inputs and attributes: noise, too, is a function of its seed. A node of a loop's body may also be found
equal to one before the loop.
"""

from __future__ import annotations

from dataclasses import replace

from brickwork.compiler.draft import Draft, draft
from brickwork.graph.ir import Loop, Node
from brickwork.graph.rewrite import Item, Rename, rename_type, rename_values, with_nodes

Known = dict[tuple[object, ...], Node]
"""Nodes by all that they compute."""


def common_subexpressions(plan: Draft) -> Draft:
    graph = plan.graph
    same: dict[str, str] = {}  # value -> the value that is kept in its place

    def kept(value: str) -> str:
        return same.get(value, value)

    known: Known = {}
    nodes: list[Item] = []
    for item in graph.nodes:
        if isinstance(item, Loop):
            nodes.append(_merge_body(item, known, same, kept))
        elif (node := _merge(item, known, same, kept)) is not None:
            nodes.append(node)
    inputs = tuple(replace(input_, type=rename_type(input_.type, kept)) for input_ in graph.inputs)
    outputs = tuple((name, kept(value)) for name, value in graph.outputs)
    return draft(replace(with_nodes(graph, nodes), inputs=inputs, outputs=outputs))


def _merge(node: Node, known: Known, same: dict[str, str], kept: Rename) -> Node | None:
    """The node with merged values for inputs, or None when an equal one was there before it."""
    node = rename_values(node, kept)
    # repr tells 1 from 1.0 and from True, which are equal in Python.
    key = (node.op, node.model, node.inputs, repr(node.attrs), node.outputs)
    first = known.setdefault(key, node)
    if first is node:
        return node
    same.update((f"{node.name}.{port}", f"{first.name}.{port}") for port, _ in node.outputs)
    return None


def _merge_body(loop: Loop, known: Known, same: dict[str, str], kept: Rename) -> Loop:
    """The loop with its body merged; what is found inside a body is known only there."""
    inside = dict(known)
    body = tuple(node for found in loop.body if (node := _merge(found, inside, same, kept)) is not None)
    merged = rename_values(loop, kept)
    return replace(merged, body=body) if body else merged
