"""LTX-Video: text with its mask, latents that begin with a picture, one transformer call, the autoencoder in time.

source    diffusers LTXPipeline and LTXImageToVideoPipeline
"""

from __future__ import annotations

from typing import Any

import torch

from brickwork.models.ops import Call, Op, Outputs
from brickwork.models.sampler import timestep
from brickwork.models.text import TextEncoder
from brickwork.models.vae import decoded, encoded

DECODE_TIMESTEP = 0.0
"""The stock pipelines' default, for autoencoders that are told one: decoding adds no noise."""


def t5(encoder: TextEncoder, calls: list[Call]) -> list[Outputs]:
    """text -> hidden [1, max_length, width] in the model's dtype, mask [1, max_length] bool."""
    texts, length = [call.args["text"] for call in calls], calls[0].attrs["max_length"]
    tokens = encoder.tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    hidden = encoder.model(tokens.input_ids)[0]
    mask = tokens.attention_mask.bool()
    return [(hidden[i : i + 1].contiguous(), mask[i : i + 1].contiguous()) for i in range(len(calls))]


def start_latents(vae: Any, calls: list[Call]) -> list[Outputs]:
    """image [1, H, W, 3] uint8, seed, frames -> latents [1, c, frames, h, w]: the image, then noise.

    The posterior's sample and then the noise come from one generator, in the reference pipeline's order.
    """
    return [(_start(vae, **call.args),) for call in calls]


def _start(vae: Any, image: torch.Tensor, seed: int, frames: int) -> torch.Tensor:
    generator = torch.Generator("cpu").manual_seed(seed)
    pixels = 2.0 * image.to(torch.float32).div(255.0).permute(0, 3, 1, 2) - 1.0
    first = encoded(vae, pixels.unsqueeze(2)).sample(generator)
    mean, deviation = _statistics(vae)
    first = (first - mean) * 1.0 / deviation
    given = torch.zeros(1, 1, frames, *first.shape[-2:])
    given[:, :, 0] = 1.0
    noise = torch.randn((1, first.shape[1], frames, *first.shape[-2:]), generator=generator)
    return (first.repeat(1, 1, frames, 1, 1) * given + noise * (1 - given)).contiguous()


def predict(transformer: Any, calls: list[Call]) -> list[Outputs]:
    """One denoising call for all requests -> velocity [rows, c, f, h, w] each, unconditional row first."""
    rows, attrs = calls[0].args["rows"], calls[0].attrs
    latents = calls[0].args["latents"]
    parts = [_rows(call.args, attrs, rows) for call in calls]
    tokens, times, texts, masks = (torch.cat(column) for column in zip(*parts, strict=True))
    velocity = transformer(
        hidden_states=tokens,
        encoder_hidden_states=texts,
        timestep=times,
        encoder_attention_mask=masks,
        num_frames=latents.shape[2],
        height=latents.shape[3],
        width=latents.shape[4],
        rope_interpolation_scale=(attrs["seconds"], attrs["pixels"], attrs["pixels"]),
        return_dict=False,
    )[0]
    clips = velocity.float().transpose(1, 2).unflatten(2, latents.shape[2:])
    return [(part.contiguous(),) for part in clips.split(rows)]


def _rows(args: dict[str, Any], attrs: dict[str, Any], rows: int) -> tuple[torch.Tensor, ...]:
    """Tokens [rows, n, c], timesteps, text embeddings and masks of one request."""
    latents = args["latents"]
    time = timestep(attrs["sampler"], args["steps"], latents, args["i"]).expand(rows)
    if attrs["holds"]:  # a timestep per token: 0 at the frame that is given
        given = torch.zeros(1, 1, *latents.shape[2:])
        given[:, :, 0] = 1.0
        time = time.unsqueeze(-1) * (1 - given.flatten(1).expand(rows, -1))
    texts, masks = [args["text"]], [args["mask"]]
    if rows == 2:
        texts, masks = [args["negative"], *texts], [args["negative_mask"], *masks]
    tokens = latents.flatten(2).transpose(1, 2)
    return torch.cat([tokens] * rows), time, torch.cat(texts), torch.cat(masks)


def hold(_model: None, calls: list[Call]) -> list[Outputs]:
    """latents [1, c, f, h, w] with the first frame of `before`."""
    pairs = ((call.args["latents"], call.args["before"]) for call in calls)
    return [(torch.cat([before[:, :, :1], latents[:, :, 1:]], dim=2),) for latents, before in pairs]


def decode(vae: Any, calls: list[Call]) -> list[Outputs]:
    """latents [1, c, f, h, w] -> video [1, frames, H, W, 3] uint8. One clip a forward, as for pictures."""
    return [(_decode(vae, call.args["latents"]),) for call in calls]


def _decode(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    mean, deviation = _statistics(vae)
    latents = latents * deviation / vae.config.scaling_factor + mean
    time = torch.tensor([DECODE_TIMESTEP]) if vae.config.timestep_conditioning else None
    video = decoded(vae, latents, time)
    unit = (video[0].permute(1, 2, 3, 0) * 0.5 + 0.5).clamp(0, 1)
    return (unit * 255).round().to(torch.uint8)[None].contiguous()


def _statistics(vae: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """(mean, deviation) of the latents, a number a channel, float32."""
    parts = (vae.latents_mean, vae.latents_std)
    mean, deviation = (part.view(1, -1, 1, 1, 1).to(torch.float32) for part in parts)
    return mean, deviation


OPS: dict[str, Op] = {
    "ltx.t5": t5,
    "ltx.start_latents": start_latents,
    "ltx.predict": predict,
    "ltx.hold": hold,
    "ltx.decode": decode,
}
