"""Drawn clips as the DiT reads them, encoded once, so that training never waits for the autoencoder."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, WanImageToVideoPipeline
from PIL import Image

from brickwork.starter import checkpoint
from brickwork.starter.latents import normalise
from brickwork.starter.stage import StopFlag, Stopped
from brickwork.starter.train_vae import to_tensor
from brickwork.starter.video.clips import FRAMES, Clip, draw_clip, render, say

MAX_CLIPS = 6000
CHUNK = 24
ROOM_SHARE = 0.8  # of clips that never meet the margin
NAMED_SHARE = 0.5  # of captions that name the thing
RETOUCHED_SHARE = 0.5  # of first frames that went through the autoencoder once more, like a generated picture


@dataclass
class Clips:
    """Ready for training, all normalised.

    latents   float16 [n, 16, 8, 8, 8]
    first     float16 [n, 16, 8, 8], the first frame's
    pixels    float16 [n, 3, 32, 32], the first frame as the image encoder takes it
    tokens    int64 [n, 12]
    blank     float32 [16, 8, 8], latents of the grey that stands for every later frame
    """

    latents: torch.Tensor
    first: torch.Tensor
    pixels: torch.Tensor
    tokens: torch.Tensor
    blank: torch.Tensor


def training_clips(
    pipeline: WanImageToVideoPipeline, vae: AutoencoderKL, seed: int, budget_s: float, path: Path, stop: StopFlag
) -> Clips:
    """Read the cache at `path`, or draw and encode clips until MAX_CLIPS or the budget is used."""
    saved = checkpoint.load(path)
    if saved is not None and saved[1]["seed"] == seed:
        return Clips(**saved[0])
    started_s = time.monotonic()
    parts: list[Clips] = []
    while len(parts) * CHUNK < MAX_CLIPS and (time.monotonic() - started_s < budget_s or not parts):
        rng = random.Random(f"clips {seed} {len(parts)}")
        drawn = [draw_clip(rng, with_room=rng.random() < ROOM_SHARE) for _ in range(CHUNK)]
        parts.append(encode(pipeline, vae, drawn, [rng.random() < NAMED_SHARE for _ in drawn], rng))
        if stop.raised:
            raise Stopped(f"stopped while encoding clips, at {len(parts) * CHUNK}")
    names = ("latents", "first", "pixels", "tokens")
    whole = Clips(**{n: torch.cat([getattr(part, n) for part in parts]) for n in names}, blank=parts[0].blank)
    checkpoint.save(path, vars(whole), {"seed": seed})
    return whole


def unseen_clips(pipeline: WanImageToVideoPipeline, vae: AutoencoderKL, count: int) -> Clips:
    """Clips that training never drew, for the validation loss."""
    rng = random.Random("unseen clips")
    return encode(pipeline, vae, [draw_clip(rng, True) for _ in range(count)], [True] * count, rng)


@torch.no_grad()
def encode(
    pipeline: WanImageToVideoPipeline, vae: AutoencoderKL, drawn: list[Clip], named: list[bool], rng: random.Random
) -> Clips:
    frames = np.concatenate([render(clip) for clip in drawn])
    raw = vae.encode(to_tensor(list(frames))).latent_dist.mode()
    latents = normalise(vae, raw).unflatten(0, (len(drawn), FRAMES)).transpose(1, 2)
    starts = to_tensor(list(frames[::FRAMES]))
    again = vae.decode(raw[::FRAMES]).sample.clamp(-1, 1)
    retouched = torch.tensor([rng.random() < RETOUCHED_SHARE for _ in drawn])
    starts = torch.where(retouched[:, None, None, None], again, starts)
    captions = [say(clip, name) for clip, name in zip(drawn, named, strict=True)]
    return Clips(
        latents.half().contiguous(),
        normalise(vae, vae.encode(starts).latent_dist.mode()).half(),
        _for_image_encoder(pipeline, starts).half(),
        tokenise(pipeline, captions),
        normalise(vae, vae.encode(torch.zeros(1, *starts.shape[1:])).latent_dist.mode())[0],
    )


def tokenise(pipeline: WanImageToVideoPipeline, captions: list[str]) -> torch.Tensor:
    """Token numbers, int64 [captions, 12], 0 beyond a caption's end."""
    longest = pipeline.tokenizer.model_max_length
    found = pipeline.tokenizer(captions, padding="max_length", max_length=longest, truncation=True)
    return torch.tensor(found.input_ids)


def _for_image_encoder(pipeline: WanImageToVideoPipeline, starts: torch.Tensor) -> torch.Tensor:
    """Pictures [n, 3, 64, 64] in -1..1 as the stock pipeline's image processor makes them, [n, 3, 32, 32]."""
    pixels = ((starts + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    return pipeline.image_processor([Image.fromarray(one) for one in pixels], return_tensors="pt").pixel_values
