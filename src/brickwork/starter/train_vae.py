"""First stage: the autoencoder learns every picture family that later features draw (`scenes.KINDS`).

A frozen narrow VAE limits everything behind it: one trained on filled shapes alone turns green rings blue.
"""

from __future__ import annotations

import math
import random

import numpy as np
import torch
from diffusers import AutoencoderKL

from brickwork.starter.scenes import KINDS, render_kind
from brickwork.starter.stage import Stage

BATCH = 16
PEAK_RATE = 2e-3
KL_WEIGHT = 5e-4  # per latent number; keeps latents smooth enough for the DiT without costing sharpness
MIX = {"plain": 0.40, "dark": 0.15, "hollow": 0.17, "edges": 0.16, "scatter": 0.12}


def to_tensor(pictures: list[np.ndarray]) -> torch.Tensor:
    """uint8 [64, 64, 3] pictures as one float32 [batch, 3, 64, 64] in -1..1."""
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
    return stacked.float() / 127.5 - 1.0


def vae_stage(vae: AutoencoderKL, seed: int) -> Stage:
    """The stage that trains `vae` in place."""
    optimizer = torch.optim.AdamW(vae.parameters(), lr=PEAK_RATE, weight_decay=1e-3, betas=(0.9, 0.99))

    def step(index: int, share: float) -> dict[str, float]:
        rng = random.Random(f"vae {seed} {index}")
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * min(1.0, (index + 1) / 50) * _decay(share)
        kinds = rng.choices(list(MIX), list(MIX.values()), k=BATCH)
        return _step(vae, optimizer, to_tensor([render_kind(kind, rng) for kind in kinds]), seed + index)

    return Stage("vae", vae, optimizer, step, lambda: psnr(vae))


def _decay(share: float) -> float:
    """Half a cosine from 1 to nearly 0."""
    return 0.002 + 0.499 * (1 + math.cos(math.pi * share))


def _step(vae: AutoencoderKL, optimizer: torch.optim.Optimizer, pictures: torch.Tensor, seed: int) -> dict[str, float]:
    """One optimizer step on L1 + MSE + KL; bf16 inside, float32 losses."""
    with torch.autocast("cpu", torch.bfloat16):
        posterior = vae.encode(pictures).latent_dist
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed))
        decoded = vae.decode((mean + noise * torch.exp(0.5 * logvar)).to(posterior.mean.dtype)).sample
    error = decoded.float() - pictures
    kl = 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).mean()
    loss = error.abs().mean() + error.square().mean() + KL_WEIGHT * kl
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
    optimizer.step()
    return {"loss": loss.item(), "mse": error.square().mean().item(), "kl": kl.item()}


@torch.no_grad()
def psnr(vae: AutoencoderKL, per_kind: int = 32) -> dict[str, float]:
    """Mean reconstruction PSNR in dB (peak 1, posterior mean) on fixed unseen pictures of every kind."""
    report = {}
    for kind in KINDS:
        rng = random.Random(f"probe {kind}")
        pictures = to_tensor([render_kind(kind, rng) for _ in range(per_kind)])
        decoded = vae.decode(vae.encode(pictures).latent_dist.mean).sample.clamp(-1, 1)
        errors = (decoded - pictures).square().mean(dim=(1, 2, 3)) / 4
        report[f"psnr_{kind}"] = round(float((-10 * torch.log10(errors.clamp_min(1e-10))).mean()), 2)
    return report
