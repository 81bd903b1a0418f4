"""The workflows whose results are compared with stock pipelines: each returns its final latents and its picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import brickwork as bw

SIZE = "64x64"
SCALES = (0.7, 0.9)
"""How strongly the first and the second ControlNet act; both only in the first four fifths of the steps."""

END = 0.8
TRUE_GUIDANCE = 2.5


def _results(family: Any, latents: Any) -> dict[str, Any]:
    return {"latents": latents, "image": family.decode(latents)}


def text_to_image(model: Path, loras: Sequence[tuple[Path, float]] = (), precision: Any = "fp32") -> bw.Workflow:
    family = bw.family(model, precision=precision)

    @bw.workflow
    def text_to_image(prompt: str, seed: int, steps: int, guidance: float):
        text = family.encode(prompt, loras=loras)
        latents = family.denoise(family.noise(seed, SIZE), text, steps=steps, guidance=guidance, loras=loras)
        return _results(family, latents)

    return text_to_image


def negative(model: Path, is_told: bool = False) -> bw.Workflow:
    """With a negative text.

    is_told     the model is told its guidance, so that it needs another to move away from the negative text (Flux)
    """
    family = bw.family(model)
    more = {"true_guidance": TRUE_GUIDANCE} if is_told else {}

    @bw.workflow
    def negative(prompt: str, negative: str, seed: int, steps: int, guidance: float):
        texts = family.encode(prompt), family.encode(negative)
        noise = family.noise(seed, SIZE)
        return _results(family, family.denoise(noise, *texts, steps=steps, guidance=guidance, **more))

    return negative


def image_to_image(model: Path) -> bw.Workflow:
    family = bw.family(model)

    @bw.workflow
    def image_to_image(image: bw.Image, prompt: str, seed: int, steps: int, guidance: float, strength: float):
        start = family.start_from(family.encode_image(image, SIZE), seed, steps, strength)
        text = family.encode(prompt)
        latents = family.denoise(start.latents, text, steps=steps, guidance=guidance, start=start.step)
        return _results(family, latents)

    return image_to_image


def inpainting(model: Path) -> bw.Workflow:
    family = bw.family(model)

    @bw.workflow
    def inpainting(
        image: bw.Image, mask: bw.Image, prompt: str, seed: int, steps: int, guidance: float, strength: float
    ):
        start = family.inpaint_from(image, mask, SIZE, seed, steps, strength)
        latents = family.denoise(
            start.latents, family.encode(prompt), steps=steps, guidance=guidance, start=start.step, keep=start.keep
        )
        return _results(family, latents)

    return inpainting


def controlled(model: Path, nets: Sequence[Path], is_drawn_from_seed: bool = False) -> bw.Workflow:
    """With one or several ControlNets.

    is_drawn_from_seed      the family draws the pictures' latents with the request's seed, before the noise (Flux)
    """
    family = bw.family(model)

    @bw.workflow
    def controlled(edges: bw.Image, prompt: str, seed: int, steps: int, guidance: float):
        of = {"seed": seed} if is_drawn_from_seed else {}
        controls = [
            family.controlnet(net)(edges, SIZE, scale=scale, end=END, **of)
            for net, scale in zip(nets, SCALES, strict=False)
        ]
        noise = family.noise(seed, SIZE, after=len(nets) if is_drawn_from_seed else 0)
        text = family.encode(prompt)
        return _results(family, family.denoise(noise, text, steps=steps, guidance=guidance, controls=controls))

    return controlled


def refined(model: Path, refiner: Path, share: float) -> bw.Workflow:
    base, second = bw.family(model), bw.family(refiner)

    @bw.workflow
    def refined(prompt: str, seed: int, steps: int, guidance: float):
        switch = base.switch(steps, share)
        noise, text = base.noise(seed, SIZE), base.encode(prompt)
        latents = base.denoise(noise, text, steps=steps, guidance=guidance, stop=switch)
        text = second.encode(prompt)
        return _results(second, second.denoise(latents, text, steps=steps, guidance=guidance, start=switch))

    return refined


def enlarged(model: Path) -> bw.Workflow:
    """A second pass over latents twice as large on each side."""
    family = bw.family(model)

    @bw.workflow
    def enlarged(prompt: str, seed: int, steps: int, guidance: float, strength: float):
        text = family.encode(prompt)
        small = family.denoise(family.noise(seed, SIZE), text, steps=steps, guidance=guidance)
        start = family.enlarge(small, seed, steps, strength)
        latents = family.denoise(start.latents, text, steps=steps, guidance=guidance, start=start.step)
        return _results(family, latents)

    return enlarged


def upscaled(model: Path, upscaler: Path) -> bw.Workflow:
    """A picture, and the same twice as large on each side."""
    family, larger = bw.family(model), bw.family(upscaler)

    @bw.workflow
    def upscaled(prompt: str, seed: int, steps: int, guidance: float):
        noise = family.noise(seed, SIZE)
        latents = family.denoise(noise, family.encode(prompt), steps=steps, guidance=guidance)
        return {"latents": latents, "image": larger.upscale(family.decode(latents))}

    return upscaled
