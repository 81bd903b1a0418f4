"""Second stage: drawn scenes as latents, encoded once, so that the DiT never waits for the VAE."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusion3Pipeline

from brickwork.starter import checkpoint
from brickwork.starter.scenes import render
from brickwork.starter.stage import StopFlag, Stopped
from brickwork.starter.text import tokenise
from brickwork.starter.train_vae import to_tensor
from brickwork.starter.words import Description, draw_training, is_held_out, pairs, say

MAX_SCENES = 20_000
CHUNK = 128


@dataclass
class Latents:
    """Scenes ready for training: latents float32 [n, 16, 8, 8], normalised; tokens int64 [n, 2, 16]."""

    latents: torch.Tensor
    tokens: torch.Tensor


def training_latents(
    pipeline: StableDiffusion3Pipeline, seed: int, budget_s: float, path: Path, stop: StopFlag
) -> Latents:
    """Read the cache at `path`, or draw and encode scenes until MAX_SCENES or the budget; sets the VAE's scale."""
    saved = checkpoint.load(path)
    fingerprint = float(sum(value.double().abs().sum() for value in pipeline.vae.state_dict().values()))
    if saved is None or saved[1]["vae"] != fingerprint or saved[1]["seed"] != seed:
        raw, tokens = _encode_many(pipeline, seed, budget_s, stop)
        checkpoint.save(path, {"latents": raw.half(), "tokens": tokens}, {"vae": fingerprint, "seed": seed})
    else:
        raw, tokens = saved[0]["latents"].float(), saved[0]["tokens"]
    shift, scale = float(raw.mean()), 1.0 / float(raw.std())
    pipeline.vae.register_to_config(shift_factor=round(shift, 6), scaling_factor=round(scale, 6))
    return Latents(normalise(pipeline.vae, raw), tokens)


def held_out_latents(pipeline: StableDiffusion3Pipeline, count: int) -> Latents:
    """Scenes of combinations that are never trained on, for the validation loss."""
    rng = random.Random("held out")
    whats = rng.sample([what for what in pairs() if is_held_out(what)], count)
    raw, tokens = _encode(pipeline, whats, rng)
    return Latents(normalise(pipeline.vae, raw), tokens)


def normalise(vae: AutoencoderKL, raw: torch.Tensor) -> torch.Tensor:
    """(raw - shift) * scale, as the stock pipeline undoes it before decoding."""
    return (raw - vae.config.shift_factor) * vae.config.scaling_factor


def _encode_many(
    pipeline: StableDiffusion3Pipeline, seed: int, budget_s: float, stop: StopFlag
) -> tuple[torch.Tensor, torch.Tensor]:
    started_s, count = time.monotonic(), 0
    parts: list[tuple[torch.Tensor, torch.Tensor]] = []
    while count < MAX_SCENES and (time.monotonic() - started_s < budget_s or not parts):
        rng = random.Random(f"scenes {seed} {count}")
        parts.append(_encode(pipeline, [draw_training(rng) for _ in range(CHUNK)], rng))
        count += CHUNK
        if count % (CHUNK * 20) == 0:
            print(f"latents  {count} of {MAX_SCENES} scenes", flush=True)
        if stop.raised:
            raise Stopped(f"stopped while encoding scenes, at {count}; the VAE is saved")
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


@torch.no_grad()
def _encode(
    pipeline: StableDiffusion3Pipeline, whats: list[Description], rng: random.Random
) -> tuple[torch.Tensor, torch.Tensor]:
    pictures = to_tensor([render(what, rng) for what in whats])
    raw = pipeline.vae.encode(pictures).latent_dist.mean
    return raw, tokenise(pipeline, [say(what) for what in whats])
