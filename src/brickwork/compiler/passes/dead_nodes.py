"""Drop what no result depends on: nodes, nodes of loop bodies, and the models that only they named.

before
    workflow demo
    model clip-1 {kind="clip_text", path="clip", dtype="float32", weight_bytes=8, profile="clip"}
    model vae-1 {kind="vae", path="vae", dtype="float32", weight_bytes=8, profile="vae"}
    input %prompt : text
    input %seed : int {default=0}
    %clip = text.clip<clip-1>(text=%prompt) : hidden embedding[1, 12] float32
    %twice = scalar.add(a=%seed, b=%seed) : value int
    %noise = noise.gaussian(seed=%seed) : latent latent[1, 4] float32
    %decode = vae.decode<vae-1>(latents=%noise.latent) : pixels pixels[1, 3] float32
    return pixels=%decode.pixels
after
    workflow demo
    model vae-1 {kind="vae", path="vae", dtype="float32", weight_bytes=8, profile="vae"}
    input %prompt : text
    input %seed : int {default=0}
    %noise = noise.gaussian(seed=%seed) : latent latent[1, 4] float32
    %decode = vae.decode<vae-1>(latents=%noise.latent) : pixels pixels[1, 3] float32
    return pixels=%decode.pixels

`clip` went with its model, since nothing reads its embedding, and `twice`. Inputs stay: they are the workflow's
signature.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from brickwork.compiler.draft import Draft, draft
from brickwork.graph.ir import Loop, Node
from brickwork.graph.rewrite import Item, definer, dims_of, needs_of, with_nodes


def dead_nodes(plan: Draft) -> Draft:
    graph = plan.graph
    wanted = {definer(value) for _, value in graph.outputs}
    wanted |= {definer(scalar) for input_ in graph.inputs for scalar in dims_of(input_.type)}
    kept: list[Item] = []
    for item in reversed(graph.nodes):
        if item.name in wanted:
            item = _without_dead_body(item) if isinstance(item, Loop) else item
            kept.append(item)
            wanted |= {definer(value) for value in needs_of(item)}
    return draft(with_nodes(graph, reversed(kept)))


def _without_dead_body(loop: Loop) -> Loop:
    live = _live(loop.body, (carry.result for carry in loop.carries))
    return replace(loop, body=live) if live else loop


def _live(nodes: Sequence[Node], results: Iterable[str]) -> tuple[Node, ...]:
    wanted = {definer(value) for value in results}
    kept: list[Node] = []
    for node in reversed(nodes):
        if node.name in wanted:
            kept.append(node)
            wanted |= {definer(value) for value in needs_of(node)}
    return tuple(reversed(kept))
