"""Let cheap nodes ride with a neighbour, so that they cost no message: fewer tasks, the same work.

before
    workflow demo
    model clip-1 {kind="clip_text", path="clip", dtype="float32", weight_bytes=8, profile="clip"}
    model vae-1 {kind="vae", path="vae", dtype="float32", weight_bytes=8, profile="vae"}
    input %prompt : text
    input %seed : int {default=0}
    %clip = text.clip<clip-1>(text=%prompt) : hidden embedding[1, 4] float32
    %noise = noise.gaussian(seed=%seed) : latent latent[1, 4] float32
    %mix = latent.mix(noise=%noise.latent, text=%clip.hidden) : latent latent[1, 4] float32
    %decode = vae.decode<vae-1>(latents=%mix.latent) : pixels pixels[1, 3] float32
    %to_uint8 = image.to_uint8(pixels=%decode.pixels) : image image[1, 3] uint8
    return image=%to_uint8.image
after
    task clip: clip
    task decode: noise mix decode to_uint8

A node without a model is cheap. It joins the task that reads it, when one task is its only reader (`noise`, `mix`);
otherwise, with what already rides with it, the task that it reads from, when that is one (`to_uint8`, whose result
leaves the workflow). Tasks that call models never join: each is scheduled for itself. No cycle can come of it, for
what joins has no way to its new task but the direct one.
"""

from __future__ import annotations

from collections.abc import Iterable

from brickwork.compiler.draft import Draft, Group, readers, with_groups
from brickwork.graph.ir import Node
from brickwork.graph.rewrite import Item, definer, is_scalar, needs_of, outputs_of


def task_fusion(plan: Draft) -> Draft:
    items = [item for item in plan.graph.nodes if not is_scalar(item)]
    leader = {item.name: item.name for item in items}  # name of the item that leads the task it is in
    cheap = [item for item in items if isinstance(item, Node) and item.model is None]
    leaves = {value for _, value in plan.graph.outputs}
    read_by = readers(plan)
    for item in reversed(cheap):  # readers settle before what they read
        values = [value for value, _ in outputs_of(item)]
        tasks = {leader[name] for value in values for name in read_by.get(value, ())}
        if len(tasks) == 1 and not leaves.intersection(values):
            leader[item.name] = tasks.pop()
    for item in cheap:
        if leader[item.name] == item.name:
            riders = [other for other in cheap if leader[other.name] == item.name]
            needed = {definer(value) for rider in riders for value in needs_of(rider)}
            tasks = {leader[name] for name in needed if name in leader} - {item.name}
            if len(tasks) == 1:
                _move(leader, item.name, tasks.pop())
    return with_groups(plan, _in_order(items, leader))


def _move(leader: dict[str, str], old: str, new: str) -> None:
    """Whatever rides with `old` now rides with `new`."""
    for name, of in leader.items():
        if of == old:
            leader[name] = new


def _in_order(items: Iterable[Item], leader: dict[str, str]) -> tuple[Group, ...]:
    """The tasks, each after those that it needs, otherwise in graph order."""
    members: dict[str, list[Item]] = {}
    for item in items:
        members.setdefault(leader[item.name], []).append(item)
    needs = {
        name: {leader[d] for item in group for v in needs_of(item) if (d := definer(v)) in leader} - {name}
        for name, group in members.items()
    }
    order: list[str] = []
    while len(order) < len(members):
        order.append(next(name for name in members if name not in order and needs[name] <= set(order)))
    return tuple(Group(name, tuple(item.name for item in members[name])) for name in order)
