"""Part a loop's body into roles: what leads it, what may run beside it elsewhere, and the arithmetic between.

before
    workflow demo
    model controlnet-1 {kind="controlnet", path="controlnet", dtype="float32", weight_bytes=8, profile="controlnet"}
    model dit-1 {kind="dit", path="dit", dtype="float32", weight_bytes=8, profile="dit"}
    input %seed : int {default=0}
    input %steps : int {default=4}
    %start = scalar.const() {value=0} : value int
    %noise = noise.gaussian(seed=%seed) : latent latent[1, 4] float32
    %denoise = loop %start.value to %steps carry (x : latent[1, 4] float32 = %noise.latent then %euler.x) do
      %control = net.control<controlnet-1>(x=%denoise.x) : residual residual[1, 4] float32
      %predict = net.predict<dit-1>(x=%denoise.x, residual=%control.residual) : v velocity[1, 4] float32
      %euler = sampler.euler(x=%denoise.x, v=%predict.v) : x latent[1, 4] float32
    end
    return latent=%denoise.x
after
    task noise: noise
    task denoise: denoise
    role denoise: base<dit-1> predict
    role denoise: auxiliary<controlnet-1> control
    role denoise: local euler

A model whose output reaches the next trip without passing another model leads; the first such in the body is the base.
Every other model is auxiliary: its nodes may run on another executor and send what they compute. Nodes without a
model are local.
"""

from __future__ import annotations

from dataclasses import replace

from brickwork.compiler.draft import Draft
from brickwork.compiler.plan import Role
from brickwork.core.ids import ModelId
from brickwork.graph.ir import Loop, Node
from brickwork.graph.rewrite import arguments_of, definer


def loop_roles(plan: Draft) -> Draft:
    loops = (item for item in plan.graph.nodes if isinstance(item, Loop))
    return replace(plan, roles=tuple((loop.name, _roles(loop)) for loop in loops))


def _roles(loop: Loop) -> tuple[Role, ...]:
    by_model: dict[ModelId, list[str]] = {}
    for node in loop.body:
        if node.model is not None:
            by_model.setdefault(node.model, []).append(node.name)
    local = tuple(node.name for node in loop.body if node.model is None)
    base = _base(loop)
    order = sorted(by_model, key=lambda model: model != base)  # stable: the others keep the body's order
    kinds = ((model, "base" if model == base else "auxiliary") for model in order)
    roles = tuple(Role(kind, (model,), tuple(by_model[model])) for model, kind in kinds)
    return (*roles, Role("local", (), local)) if local else roles


def _base(loop: Loop) -> ModelId | None:
    """Model of the first body node that leads: walk back from the carries' results, stopping at models."""
    nodes = {node.name: node for node in loop.body}
    leading: set[str] = set()
    open_ = [definer(carry.result) for carry in loop.carries]
    seen: set[str] = set()
    while open_:
        node = nodes.get(open_.pop())
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        if node.model is not None:
            leading.add(node.name)
        else:
            open_ += [definer(value) for value in arguments_of(node)]
    first: Node | None = next((node for node in loop.body if node.name in leading), None)
    return first.model if first else None
