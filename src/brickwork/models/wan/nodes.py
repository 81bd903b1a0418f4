"""Wan: text embeddings, the first frame as a condition, one transformer call, the autoencoder in time.

source    diffusers WanPipeline and WanImageToVideoPipeline (Wan 2.1 and 2.2)
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL
from diffusers.pipelines.wan.pipeline_wan import prompt_clean

from brickwork.models.ops import Call, Op, Outputs
from brickwork.models.sampler import timestep
from brickwork.models.text import TextEncoder
from brickwork.models.vae import decoded, encoded
from brickwork.models.wan import frames


def umt5(encoder: TextEncoder, calls: list[Call]) -> list[Outputs]:
    """text -> hidden [1, max_length, width] in the model's dtype, zero beyond the text's own tokens."""
    texts = [prompt_clean(call.args["text"]) for call in calls]
    length = calls[0].attrs["max_length"]
    tokens = encoder.tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    mask = tokens.attention_mask
    hidden = encoder.model(tokens.input_ids, mask).last_hidden_state
    return [(torch.where(own[None, :, None] > 0, row[None], 0.0),) for row, own in zip(hidden, mask, strict=True)]


def condition(vae: Any, calls: list[Call]) -> list[Outputs]:
    """image [1, H, W, 3] uint8 -> condition [1, mask + z channels, latent frames, h, w] float32.

    The autoencoder sees the image followed by grey frames; the mask tells which frames are given.
    """
    return [(_condition(vae, **call.args, **call.attrs),) for call in calls]


def _condition(vae: Any, image: torch.Tensor, frames: int, per_latent: int) -> torch.Tensor:
    first = _pixels(image)
    later = first.new_zeros(1, 3, frames - 1, *first.shape[-2:])
    latents = _normalised(vae, _encode(vae, torch.cat([first, later], dim=2)))
    given = torch.zeros(1, per_latent, *latents.shape[2:])
    given[:, :, 0] = 1
    return torch.cat([given, latents], dim=1)


def _pixels(image: torch.Tensor) -> torch.Tensor:
    """[1, H, W, 3] uint8 -> a clip of one frame, [1, 3, 1, H, W] float32 in -1..1."""
    return (2.0 * image.to(torch.float32).div(255.0).permute(0, 3, 1, 2) - 1.0).unsqueeze(2)


def _encode(vae: Any, video: torch.Tensor) -> torch.Tensor:
    if isinstance(vae, AutoencoderKL):
        return frames.encode(vae, video)
    return encoded(vae, video).mode()


def _normalised(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    mean, deviation = (torch.tensor(part).view(1, -1, 1, 1, 1) for part in frames.statistics(vae))
    return (latents - mean) * (1.0 / deviation)


def first_latents(vae: Any, calls: list[Call]) -> list[Outputs]:
    """image [1, H, W, 3] uint8 -> latents of one frame, [1, z, 1, h, w] float32."""
    return [(_normalised(vae, _encode(vae, _pixels(call.args["image"]))),) for call in calls]


def predict(transformer: Any, calls: list[Call]) -> list[Outputs]:
    """One denoising step's model calls for all requests -> velocity [rows, z, f, h, w] each, unconditional first.

    As in the reference the two texts of guidance are two forwards, so a row's bits don't depend on the other. Requests
    may stand at different steps: the transformer takes a timestep per row.
    """
    texts = [call.args["text"] for call in calls]
    conditional = _forward(transformer, calls, texts)
    if calls[0].args["rows"] == 1:
        return [(row[None],) for row in conditional]
    unconditional = _forward(transformer, calls, [call.args["negative"] for call in calls])
    return [(torch.stack(pair),) for pair in zip(unconditional, conditional, strict=True)]


def _forward(transformer: Any, calls: list[Call], texts: list[torch.Tensor]) -> torch.Tensor:
    rows = [_expanded(call) if call.attrs["expands"] else _plain(call) for call in calls]
    image = torch.cat([call.args["image"] for call in calls]) if "image" in calls[0].args else None
    answer: torch.Tensor = transformer(
        hidden_states=torch.cat([latents for latents, _ in rows]),
        timestep=torch.stack([time for _, time in rows]),
        encoder_hidden_states=torch.cat(texts),
        encoder_hidden_states_image=image,
        return_dict=False,
    )[0]
    return answer.to(torch.float32)


def _plain(call: Call) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents with the condition as further channels, and a timestep."""
    latents = call.args["latents"]
    time = timestep(call.attrs["sampler"], call.args["steps"], latents, call.args["i"])
    return (torch.cat([latents, call.args["condition"]], dim=1) if "condition" in call.args else latents), time


def _expanded(call: Call) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents that begin with the first frame where there is one, and a timestep per token: 0 at what is given."""
    latents, first = call.args["latents"], call.args.get("condition")
    time = timestep(call.attrs["sampler"], call.args["steps"], latents, call.args["i"])
    asked = _asked(latents, first)
    shown = latents if first is None else (1 - asked) * first + asked * latents
    return shown, (asked[0][0][:, ::2, ::2] * time).flatten()


def _asked(latents: torch.Tensor, first: torch.Tensor | None) -> torch.Tensor:
    """[1, 1, f, h, w]: 1 where the model fills in, 0 at a first frame that is given."""
    asked = torch.ones(1, 1, *latents.shape[2:])
    if first is not None:
        asked[:, :, 0] = 0
    return asked


def keep_first(_model: None, calls: list[Call]) -> list[Outputs]:
    """latents [1, z, f, h, w] with their first frame replaced by `first` [1, z, 1, h, w]."""
    return [(_kept(**call.args),) for call in calls]


def _kept(latents: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
    asked = _asked(latents, first)
    return (1 - asked) * first + asked * latents


def decode(vae: Any, calls: list[Call]) -> list[Outputs]:
    """latents [1, z, f, h, w] -> video [1, frames, H, W, 3] uint8. One clip a forward, as for pictures."""
    return [(_decode(vae, call.args["latents"]),) for call in calls]


def _decode(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    mean, deviation = (torch.tensor(part).view(1, -1, 1, 1, 1) for part in frames.statistics(vae))
    latents = latents / (1.0 / deviation) + mean
    video = frames.decode(vae, latents) if isinstance(vae, AutoencoderKL) else decoded(vae, latents)
    unit = (video[0].permute(1, 2, 3, 0) * 0.5 + 0.5).clamp(0, 1)
    return (unit * 255).round().to(torch.uint8)[None].contiguous()


OPS: dict[str, Op] = {
    "text.umt5": umt5,
    "wan.condition": condition,
    "wan.first_latents": first_latents,
    "wan.keep_first": keep_first,
    "wan.predict": predict,
    "wan.decode": decode,
}
