"""Stable Diffusion 3: joining the text embeddings, one transformer call, and the start of image-to-image.

source    diffusers StableDiffusion3Pipeline and StableDiffusion3Img2ImgPipeline
"""

from typing import Any

import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from brickwork.models.ops import Call, Op, Outputs
from brickwork.models.sampler import add_noise, schedule


def join(_model: None, calls: list[Call]) -> list[Outputs]:
    """Three encoders' outputs -> embeds [1, clip + t5 tokens, width] and pooled [1, p1 + p2].

    The CLIP features stand side by side, zero-padded to T5's width; T5's tokens follow them.
    """
    return [_join(**call.args) for call in calls]


def _join(
    clip_1: torch.Tensor, pooled_1: torch.Tensor, clip_2: torch.Tensor, pooled_2: torch.Tensor, t5: torch.Tensor
) -> Outputs:
    clips = torch.cat([clip_1, clip_2], dim=-1)
    clips = torch.nn.functional.pad(clips, (0, t5.shape[-1] - clips.shape[-1]))
    return torch.cat([clips, t5], dim=-2), torch.cat([pooled_1, pooled_2], dim=-1)


def predict(transformer: Any, calls: list[Call]) -> list[Outputs]:
    """One denoising call for all requests -> velocity [rows, c, h, w] each, unconditional row first.

    A request takes two rows (negative, then positive prompt) when `rows` is 2, one otherwise. Requests may stand at
    different steps: the transformer takes a timestep per row.
    """
    rows = calls[0].args["rows"]
    parts = [_rows(call.args, call.attrs, rows) for call in calls]
    latents, timesteps, embeds, pooled = (torch.cat(column) for column in zip(*parts, strict=True))
    velocity = transformer(
        hidden_states=latents,
        timestep=timesteps,
        encoder_hidden_states=embeds,
        pooled_projections=pooled,
        return_dict=False,
    )[0]
    return [(part,) for part in velocity.split(rows)]


def _rows(args: dict[str, Any], attrs: dict[str, Any], rows: int) -> tuple[torch.Tensor, ...]:
    """latents, timesteps, embeddings and pooled embeddings of one request's rows."""
    _, timesteps = schedule(args["steps"], attrs["shift"], attrs["num_train_timesteps"])
    latents, embeds, pooled = [args["latents"]] * rows, [args["embeds"]], [args["pooled"]]
    if rows == 2:
        embeds, pooled = [args["negative_embeds"], *embeds], [args["negative_pooled"], *pooled]
    return torch.cat(latents), timesteps[args["i"]].expand(rows), torch.cat(embeds), torch.cat(pooled)


def start_latents(_model: None, calls: list[Call]) -> list[Outputs]:
    """moments [1, 2c, h, w], seed -> latents [1, c, h, w] at step `i`, where image-to-image begins.

    The posterior's sample and then the noise come from one generator, in the reference pipeline's order.
    """
    return [(_start(**call.args, **call.attrs),) for call in calls]


def _start(
    moments: torch.Tensor,
    seed: int,
    i: int,
    steps: int,
    shift: float,
    num_train_timesteps: int,
    scaling_factor: float,
    shift_factor: float,
) -> torch.Tensor:
    generator = torch.Generator("cpu").manual_seed(seed)
    sample = DiagonalGaussianDistribution(moments).sample(generator)
    sample = (sample - shift_factor) * scaling_factor
    noise = torch.randn(sample.shape, generator=generator, dtype=sample.dtype)
    if i == steps:  # strength 0: nothing to denoise
        return sample
    return add_noise(sample, noise, i, steps, shift, num_train_timesteps)


OPS: dict[str, Op] = {"sd3.join": join, "sd3.predict": predict, "sd3.start_latents": start_latents}
