"""Tiny Stable Diffusion 1.5 directories: the pipeline, its inpainting sibling, ControlNets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel

from support.tiny.parts import clip, clip_tokenizer, redrawn, vae

UNET: dict[str, Any] = dict(
    sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=4, cross_attention_dim=32,
    attention_head_dim=4, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
)  # fmt: skip


def sampler() -> PNDMScheduler:
    """As Stable Diffusion 1.5 is shipped."""
    return PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1,
        set_alpha_to_one=False,
    )  # fmt: skip


def build(directory: Path, in_channels: int = 4, scheduler: Any = None, seed: int = 0) -> Path:
    """Write a tiny pipeline; `in_channels` 9 is an inpainting model."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(in_channels=in_channels, up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), **UNET)
    pipeline = StableDiffusionPipeline(
        vae=vae(), text_encoder=clip(32), tokenizer=clip_tokenizer(), unet=redrawn(unet),
        scheduler=scheduler or sampler(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.save_pretrained(directory, safe_serialization=True)
    return directory


def build_controlnet(directory: Path, seed: int = 1) -> Path:
    torch.manual_seed(seed)
    net = redrawn(ControlNetModel(conditioning_embedding_out_channels=(4, 4, 8, 8), **_control(UNET)))
    net.save_pretrained(directory, safe_serialization=True)
    return directory


def _control(unet: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in unet.items() if key != "sample_size"}
