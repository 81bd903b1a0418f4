"""Say when each tensor is read for the last time, so that its bytes can be released then and not at the end.

before
    workflow demo
    model clip-1 {kind="clip_text", path="clip", dtype="float32", weight_bytes=8, profile="clip"}
    model vae-1 {kind="vae", path="vae", dtype="float32", weight_bytes=8, profile="vae"}
    input %prompt : text
    input %image : image[1, 3] uint8
    %clip = text.clip<clip-1>(text=%prompt) : hidden embedding[1, 4] float32
    %encode = vae.encode<vae-1>(image=%image) : latent latent[1, 4] float32
    %first = latent.mix(latents=%encode.latent, text=%clip.hidden) : latent latent[1, 4] float32
    %second = latent.mix(latents=%first.latent, text=%clip.hidden) : latent latent[1, 4] float32
    return first=%first.latent, second=%second.latent
after
    task clip: clip
    task encode: encode frees image
    task first: first frees encode.latent
    task second: second frees clip.hidden

Results of the workflow (`first.latent`) are freed by nobody: they belong to the caller. How many bytes each tensor has
follows from its type and the request (`compiler.instance.result_specs`).
"""

from __future__ import annotations

from dataclasses import replace

from brickwork.compiler.draft import Draft, Group, group_of, items_of, with_groups
from brickwork.graph.rewrite import arguments_of, definer, outputs_of


def lifetimes(plan: Draft) -> Draft:
    types = {input_.name: input_.type for input_ in plan.graph.inputs}
    types |= {value: type_ for item in plan.graph.nodes for value, type_ in outputs_of(item)}
    owner = group_of(plan)
    returned = {value for _, value in plan.graph.outputs}
    last: dict[str, str] = {}  # value -> last task that reads it from outside
    for group in plan.groups:
        for value in _read_by(plan, group):
            if owner.get(definer(value)) != group.name and types[value].is_tensor and value not in returned:
                last.pop(value, None)
                last[value] = group.name
    frees = {group.name: tuple(v for v, name in last.items() if name == group.name) for group in plan.groups}
    return with_groups(plan, tuple(replace(group, last_uses=frees[group.name]) for group in plan.groups))


def _read_by(plan: Draft, group: Group) -> list[str]:
    return [value for item in items_of(plan, group) for value in arguments_of(item)]
