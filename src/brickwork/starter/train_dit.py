"""Third stage: the DiT and its three text encoders learn together to undo noise in cached latents.

Rectified flow: x_t = (1 - sigma) x + sigma noise, the target is noise - x. Sigma is logit-normal, pushed towards
noise by the same shift that the shipped noise schedule uses. One caption in ten is dropped, for guidance.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from diffusers import StableDiffusion3Pipeline
from torch import nn

from brickwork.starter.build import SHIFT
from brickwork.starter.latents import Latents
from brickwork.starter.stage import Stage
from brickwork.starter.text import tokenise, trained_parts, velocity

BATCH = 64
PEAK_RATE = 1.2e-3
WARM_UP_STEPS = 100
DECAY_FROM = 0.4  # share of the budget after which the rate falls in a line to zero
DROP_CAPTION = 0.1
AVERAGE_KEEP = 0.998  # per step; the shipped weights are this running average


def dit_stage(
    pipeline: StableDiffusion3Pipeline, scenes: Latents, unseen: Latents, seed: int, fuse: bool = False
) -> Stage:
    """The stage that trains the pipeline's four models in place; `stage.average` is what should be shipped.

    fuse    compile the DiT's training step (torch.compile; a minute once, then a quarter faster)
    """
    parts = trained_parts(pipeline)
    shadow = deepcopy(parts).requires_grad_(False)
    optimizer = torch.optim.AdamW(parts.parameters(), lr=PEAK_RATE, weight_decay=0.01, betas=(0.9, 0.99))
    empty = tokenise(pipeline, [""])
    if fuse:
        parts["transformer"].compile()  # after the copy: only training runs through it

    def step(index: int, share: float) -> dict[str, float]:
        generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
        for group in optimizer.param_groups:
            group["lr"] = _rate(index, share)
        picks = torch.randint(len(scenes.latents), (BATCH,), generator=generator)
        dropped = torch.rand(BATCH, generator=generator) < DROP_CAPTION
        tokens = torch.where(dropped[:, None, None], empty, scenes.tokens[picks])
        with torch.autocast("cpu", torch.bfloat16):
            loss = _loss(parts, scenes.latents[picks], tokens, generator)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        _average(shadow, parts, min(AVERAGE_KEEP, (1 + index) / (10 + index)))
        return {"loss": loss.item()}

    return Stage(
        "dit",
        parts,
        optimizer,
        step,
        lambda: _validate(shadow, unseen),
        average=shadow.state_dict(),
        probe_every_s=180.0,
    )


def _rate(index: int, share: float) -> float:
    warm = min(1.0, (index + 1) / WARM_UP_STEPS)
    return PEAK_RATE * warm * min(1.0, max(0.0, (1.0 - share) / (1.0 - DECAY_FROM)) + 0.001)


def _loss(
    parts: nn.ModuleDict, latents: torch.Tensor, tokens: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Mean squared velocity error at random noise levels."""
    sigma = torch.sigmoid(torch.randn(len(latents), generator=generator))
    sigma = SHIFT * sigma / (1 + (SHIFT - 1) * sigma)
    noise = torch.randn(latents.shape, generator=generator)
    mixed = torch.lerp(latents, noise, sigma[:, None, None, None])
    return (velocity(parts, mixed, sigma, tokens).float() - (noise - latents)).square().mean()


@torch.no_grad()
def _average(shadow: nn.ModuleDict, parts: nn.ModuleDict, keep: float) -> None:
    torch._foreach_lerp_(list(shadow.parameters()), list(parts.parameters()), 1.0 - keep)


@torch.no_grad()
def _validate(shadow: nn.ModuleDict, unseen: Latents) -> dict[str, float]:
    """The averaged model's loss on held-out combinations, always with the same noise."""
    loss = _loss(shadow, unseen.latents, unseen.tokens, torch.Generator().manual_seed(0))
    return {"held_out_loss": round(loss.item(), 5)}
