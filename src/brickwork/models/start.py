"""Where image-to-image and inpainting begin, and how the kept part of an image is put back after every step.

All draws of a request come from one generator, in the reference pipelines' order: the image's posterior sample, the
noise, the masked image's posterior sample.

source    diffusers: Img2Img and Inpaint pipelines of SD1.5, SDXL, SD3, Flux, Qwen-Image; VaeImageProcessor for masks
"""

import json
from typing import Any

import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image

from brickwork.models.ops import Call, Op, Outputs, each
from brickwork.models.sampler import begin, noised, schedule_of


def start(moments: torch.Tensor, seed: int, i: int, steps: int, sampler: str, **space: Any) -> torch.Tensor:
    """moments [1, 2c, h, w] -> latents [1, c, h, w] at step `i`.

    space     how latents are scaled (see `scaled`)
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    sample = _sample(moments, generator, space)
    noise = torch.randn(sample.shape, generator=generator, dtype=sample.dtype)
    return sample if i == steps else noised(sampler, steps, sample, noise, i)


def _sample(moments: torch.Tensor, generator: torch.Generator, space: dict[str, Any]) -> torch.Tensor:
    """A draw from the posterior, scaled into the denoiser's space."""
    return scaled(DiagonalGaussianDistribution(moments).sample(generator), **space)


def scaled(
    sample: torch.Tensor, scaling_factor: float = 1.0, shift_factor: float = 0.0, mean: str = "", deviation: str = ""
) -> torch.Tensor:
    """An autoencoder's latents in the denoiser's space: by two factors, or by mean and deviation of each channel.

    mean, deviation     JSON lists of numbers
    """
    if not mean:
        return (sample - shift_factor) * scaling_factor
    means, deviations = (torch.tensor(json.loads(text)).view(1, -1, 1, 1) for text in (mean, deviation))
    return (sample - means) * (1.0 / deviations)


def inpaint(
    moments: torch.Tensor,
    mask: torch.Tensor,
    seed: int,
    i: int,
    steps: int,
    strength: float,
    sampler: str,
    strength_1_is_noise: bool,
    masked_moments: torch.Tensor | None = None,
    **space: Any,
) -> Outputs:
    """-> latents [1, c, h, w] at step `i`, mask [1, 1, h, w], and either masked latents or (image latents, noise).

    mask            image [1, H, W, 3] uint8, white where to paint
    masked_moments  of the image without the masked part, for denoisers that see it
    space           how latents are scaled (see `scaled`)
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    from_noise = strength_1_is_noise and strength == 1.0
    original = None
    if masked_moments is None or not from_noise:
        original = _sample(moments, generator, space)
    shape = (1, moments.shape[1] // 2, *moments.shape[2:])
    noise = torch.randn(shape, generator=generator, dtype=moments.dtype)
    if original is None or from_noise:
        latents = begin(noise, steps, sampler) if _scales(sampler) else noise
    else:
        latents = original if i == steps else noised(sampler, steps, original, noise, i)
    small = torch.nn.functional.interpolate(mask_of(mask), size=shape[2:])
    if masked_moments is not None:
        masked = _sample(masked_moments, generator, space)
        return latents.contiguous(), small.contiguous(), masked.contiguous()
    assert original is not None
    return latents.contiguous(), small.contiguous(), original.contiguous(), noise


def _scales(sampler: str) -> bool:
    return "FlowMatch" not in sampler


def mask_of(image: torch.Tensor) -> torch.Tensor:
    """image [1, H, W, 3] uint8 -> [1, 1, H, W] float32, 1 where it is lighter than middle grey."""
    grey = torch.frombuffer(bytearray(Image.fromarray(image[0].numpy()).convert("L").tobytes()), dtype=torch.uint8)
    unit = grey.reshape(1, 1, *image.shape[1:3]).to(torch.float32) / 255.0
    return (unit >= 0.5).to(torch.float32)


def blend(
    latents: torch.Tensor,
    original: torch.Tensor,
    noise: torch.Tensor,
    mask: torch.Tensor,
    i: int,
    steps: int,
    sampler: str,
) -> torch.Tensor:
    """Latents inside the mask; outside, the image's latents with the noise of the next step."""
    if i < len(schedule_of(sampler, steps, latents).timesteps) - 1:
        original = noised(sampler, steps, original, noise, i + 1)
    return ((1 - mask) * original + mask * latents).contiguous()


def enlarge(latents: torch.Tensor, seed: int, i: int, steps: int, sampler: str, times: int) -> torch.Tensor:
    """latents [1, c, h, w] -> [1, c, times * h, times * w], each repeated, with the noise of step `i`."""
    larger = torch.nn.functional.interpolate(latents, scale_factor=times, mode="nearest")
    noise = torch.randn(larger.shape, generator=torch.Generator("cpu").manual_seed(seed), dtype=larger.dtype)
    return larger if i == steps else noised(sampler, steps, larger, noise, i)


def _enlarge(_model: None, calls: list[Call]) -> list[Outputs]:
    return each(enlarge, calls)


def _start(_model: None, calls: list[Call]) -> list[Outputs]:
    return each(start, calls)


def _inpaint(_model: None, calls: list[Call]) -> list[Outputs]:
    return [inpaint(**call.args, **call.attrs) for call in calls]


def _blend(_model: None, calls: list[Call]) -> list[Outputs]:
    return each(blend, calls)


OPS: dict[str, Op] = {
    "latents.start": _start,
    "latents.inpaint": _inpaint,
    "latents.blend": _blend,
    "latents.enlarge": _enlarge,
}
