"""Put the tasks of the longest chain first, so that plan order is a good order to start them in.

before
    workflow demo
    model clip-1 {kind="clip_text", path="clip", dtype="float32", weight_bytes=8, profile="clip"}
    model vae-1 {kind="vae", path="vae", dtype="float32", weight_bytes=8, profile="vae"}
    input %prompt : text
    input %image : image[1, 3] uint8
    %clip = text.clip<clip-1>(text=%prompt) : hidden embedding[1, 4] float32
    %encode = vae.encode<vae-1>(image=%image) : latent latent[1, 4] float32
    %decode = vae.decode<vae-1>(latents=%encode.latent) : latent latent[1, 4] float32
    %mix = latent.mix(latents=%decode.latent, text=%clip.hidden) : latent latent[1, 4] float32
    return latent=%mix.latent
after
    task encode: encode
    task clip: clip
    task decode: decode
    task mix: mix

`encode` goes before `clip`: two tasks wait behind it, behind `clip` only one. Among equals the author's order stays.
Lengths are counted in tasks here. In seconds they depend on the request and the device, so control works
them out for each request (`control.facts`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from brickwork.compiler.draft import Draft, after, with_groups


def critical_path(plan: Draft) -> Draft:
    needs = after(plan)
    length = remaining(needs, lambda name: 1.0)
    # A task's chain is longer than that of any task behind it, so this order is an order of dependence, too.
    return with_groups(plan, tuple(sorted(plan.groups, key=lambda group: -length[group.name])))


def remaining(needs: Mapping[str, tuple[str, ...]], cost: Callable[[str], float]) -> dict[str, float]:
    """Cost of the dearest chain from each task to the end, itself included.

    needs     the tasks that each task needs, in an order in which they come before it
    """
    behind = dict.fromkeys(needs, 0.0)
    total: dict[str, float] = {}
    for name in reversed(list(needs)):
        total[name] = cost(name) + behind[name]
        for other in needs[name]:
            behind[other] = max(behind[other], total[name])
    return {name: total[name] for name in needs}
