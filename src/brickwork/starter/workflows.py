"""The workflows that are shipped, as functions of a model directory: the starter's, or any other of its family.

Those that draw share text encoders, transformer and autoencoder, and image-to-video shares the autoencoder with them:
on one cluster each is loaded once. `variant` is precision and compile, as `bw.family` takes them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import brickwork as bw

STARTER = Path(__file__).parent / "text-to-image"
"""The trained model that comes with the package."""

STARTER_VIDEO = Path(__file__).parent / "image-to-video"
"""The trained video model that comes with the package."""

QUICK_STEPS = 6
"""Fewest steps at which the starter still draws what the prompt says."""


def text_to_image(model: Path = STARTER, **variant: Any) -> bw.Workflow:
    """The workflow `text-to-image` on the model in a directory."""
    sd3 = bw.family(model, **variant)
    if sd3.is_told_guidance:
        return _text_to_image_told(sd3)

    @bw.workflow
    def text_to_image(
        prompt: str = bw.input(doc="What to draw."),
        negative_prompt: str = bw.input("", doc="What to avoid."),
        size: bw.Size = bw.input("auto", doc="Width x height in pixels; auto is the model's own."),
        steps: int = bw.input(sd3.default_steps, doc="Denoising steps: more take longer."),
        guidance: float = bw.input(sd3.default_guidance, doc="How closely to follow the prompt; 1 or less: freely."),
        seed: int = bw.input(0, doc="Equal seeds give equal pictures."),
    ) -> bw.Image:
        """A picture of what the prompt says."""
        text, negative = sd3.encode(prompt), sd3.encode(negative_prompt)
        latents = sd3.denoise(sd3.noise(seed, size), text, negative, steps=steps, guidance=guidance)
        return sd3.decode(latents)

    return text_to_image


def text_to_image_quick(model: Path = STARTER, **variant: Any) -> bw.Workflow:
    """The workflow `text-to-image-quick`: few steps and no second row for guidance."""
    sd3 = bw.family(model, **variant)

    @bw.workflow
    def text_to_image_quick(
        prompt: str = bw.input(doc="What to draw."),
        size: bw.Size = bw.input("auto", doc="Width x height in pixels; auto is the model's own."),
        steps: int = bw.input(QUICK_STEPS, doc="Denoising steps: more take longer."),
        seed: int = bw.input(0, doc="Equal seeds give equal pictures."),
    ) -> bw.Image:
        """A picture of what the prompt says, sooner and freer: the model is asked once a step, without guidance."""
        latents = sd3.denoise(sd3.noise(seed, size), sd3.encode(prompt), steps=steps, guidance=1.0)
        return sd3.decode(latents)

    return text_to_image_quick


def image_to_image(model: Path = STARTER, **variant: Any) -> bw.Workflow:
    """The workflow `image-to-image` on the model in a directory."""
    sd3 = bw.family(model, **variant)
    if sd3.is_told_guidance:
        return _image_to_image_told(sd3)

    @bw.workflow
    def image_to_image(
        image: bw.Image = bw.input(doc="The picture to start from; it is resized to the size."),
        prompt: str = bw.input(doc="What to draw."),
        negative_prompt: str = bw.input("", doc="What to avoid."),
        strength: float = bw.input(0.7, doc="How much to change: 1 keeps nothing of the picture."),
        size: bw.Size = bw.input("auto", doc="Width x height in pixels; auto is the model's own."),
        steps: int = bw.input(sd3.default_steps, doc="Steps of the whole schedule; strength decides its start."),
        guidance: float = bw.input(sd3.default_guidance, doc="How closely to follow the prompt; 1 or less: freely."),
        seed: int = bw.input(0, doc="Equal seeds give equal pictures."),
    ) -> bw.Image:
        """A picture of what the prompt says that keeps something of another picture."""
        text, negative = sd3.encode(prompt), sd3.encode(negative_prompt)
        start = sd3.start_from(sd3.encode_image(image, size), seed, steps, strength)
        latents = sd3.denoise(start.latents, text, negative, steps=steps, guidance=guidance, start=start.step)
        return sd3.decode(latents)

    return image_to_image


def _text_to_image_told(flux: Any) -> bw.Workflow:
    """`text-to-image` for models that are told their guidance."""

    @bw.workflow
    def text_to_image(
        prompt: str = bw.input(doc="What to draw."),
        negative_prompt: str = bw.input("", doc="What to avoid, with a true guidance above 1."),
        size: bw.Size = bw.input("auto", doc="Width x height in pixels; auto is the model's own."),
        steps: int = bw.input(flux.default_steps, doc="Denoising steps: more take longer."),
        guidance: float = bw.input(flux.default_guidance, doc="How closely to follow the prompt; the model is told."),
        true_guidance: float = bw.input(1.0, doc="Above 1: how far to move away from what to avoid; takes longer."),
        seed: int = bw.input(0, doc="Equal seeds give equal pictures."),
    ) -> bw.Image:
        """A picture of what the prompt says."""
        text, negative = flux.encode(prompt), flux.encode(negative_prompt)
        how = dict(steps=steps, guidance=guidance, true_guidance=true_guidance)
        return flux.decode(flux.denoise(flux.noise(seed, size), text, negative, **how))

    return text_to_image


def _image_to_image_told(flux: Any) -> bw.Workflow:
    """`image-to-image` for models that are told their guidance."""

    @bw.workflow
    def image_to_image(
        image: bw.Image = bw.input(doc="The picture to start from; it is resized to the size."),
        prompt: str = bw.input(doc="What to draw."),
        negative_prompt: str = bw.input("", doc="What to avoid, with a true guidance above 1."),
        strength: float = bw.input(0.7, doc="How much to change: 1 keeps nothing of the picture."),
        size: bw.Size = bw.input("auto", doc="Width x height in pixels; auto is the model's own."),
        steps: int = bw.input(flux.default_steps, doc="Steps of the whole schedule; strength decides its start."),
        guidance: float = bw.input(flux.default_guidance, doc="How closely to follow the prompt; the model is told."),
        true_guidance: float = bw.input(1.0, doc="Above 1: how far to move away from what to avoid; takes longer."),
        seed: int = bw.input(0, doc="Equal seeds give equal pictures."),
    ) -> bw.Image:
        """A picture of what the prompt says that keeps something of another picture."""
        text, negative = flux.encode(prompt), flux.encode(negative_prompt)
        start = flux.start_from(flux.encode_image(image, size), seed, steps, strength)
        how = dict(steps=steps, guidance=guidance, true_guidance=true_guidance, start=start.step)
        return flux.decode(flux.denoise(start.latents, text, negative, **how))

    return image_to_image


def image_to_video(model: Path = STARTER_VIDEO, **variant: Any) -> bw.Workflow:
    """The workflow `image-to-video` on the model in a directory of a video family."""
    video = bw.family(model, **variant)

    @bw.workflow
    def image_to_video(
        image: bw.Image = bw.input(doc="The first frame; it is resized to the size."),
        prompt: str = bw.input(doc="What happens."),
        negative_prompt: str = bw.input("", doc="What to avoid."),
        size: bw.Size = bw.input("auto", doc="Width x height in pixels; auto is the model's own."),
        frames: int = bw.input(video.default_frames, doc="Frames of the clip."),
        steps: int = bw.input(video.default_steps, doc="Denoising steps: more take longer."),
        guidance: float = bw.input(video.default_guidance, doc="How closely to follow the prompt; 1 or less: freely."),
        seed: int = bw.input(0, doc="Equal seeds give equal clips."),
    ) -> bw.Video:
        """A clip that begins with a picture and does what the prompt says."""
        latents, first = video.start_from(image, seed, size, frames)
        text, negative = video.encode(prompt), video.encode(negative_prompt)
        return video.decode(video.denoise(latents, text, negative, first, steps=steps, guidance=guidance))

    return image_to_video


def text_to_video(model: Path, **variant: Any) -> bw.Workflow:
    """The workflow `text-to-video` on the model in a directory of a video family; none is shipped."""
    video = bw.family(model, **variant)

    @bw.workflow
    def text_to_video(
        prompt: str = bw.input(doc="What happens."),
        negative_prompt: str = bw.input("", doc="What to avoid."),
        size: bw.Size = bw.input("auto", doc="Width x height in pixels; auto is the model's own."),
        frames: int = bw.input(video.default_frames, doc="Frames of the clip."),
        steps: int = bw.input(video.default_steps, doc="Denoising steps: more take longer."),
        guidance: float = bw.input(video.default_guidance, doc="How closely to follow the prompt; 1 or less: freely."),
        seed: int = bw.input(0, doc="Equal seeds give equal clips."),
    ) -> bw.Video:
        """A clip of what the prompt says."""
        text, negative = video.encode(prompt), video.encode(negative_prompt)
        return video.decode(
            video.denoise(video.noise(seed, size, frames), text, negative, steps=steps, guidance=guidance)
        )

    return text_to_video


WORKFLOWS: dict[str, Callable[..., bw.Workflow]] = {
    "text-to-image": text_to_image,
    "text-to-image-quick": text_to_image_quick,
    "image-to-image": image_to_image,
    "image-to-video": image_to_video,
}
"""Those that run without a model of the user's."""

VIDEO: dict[str, Callable[..., bw.Workflow]] = {"image-to-video": image_to_video, "text-to-video": text_to_video}
"""Those for directories of a video family; the others are for directories of an image family."""
