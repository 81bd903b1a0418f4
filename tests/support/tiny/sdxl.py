"""Tiny Stable Diffusion XL directories: the pipeline, its inpainting sibling, its refiner, ControlNets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    ControlNetModel,
    EulerDiscreteScheduler,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)  # fmt: skip

from support.tiny.parts import clip, clip_tokenizer, redrawn, vae

UNET: dict[str, Any] = dict(
    block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=4, attention_head_dim=(2, 4),
    use_linear_projection=True, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), addition_time_embed_dim=8,
    addition_embed_type="text_time", transformer_layers_per_block=(1, 2),
)  # fmt: skip
UP = ("CrossAttnUpBlock2D", "UpBlock2D")


def sampler() -> EulerDiscreteScheduler:
    """As SDXL is shipped."""
    return EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading", steps_offset=1
    )


def build(directory: Path, in_channels: int = 4, scheduler: Any = None, seed: int = 0) -> Path:
    """Write a tiny pipeline; `in_channels` 9 is an inpainting model."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=in_channels, cross_attention_dim=64, projection_class_embeddings_input_dim=72,
        up_block_types=UP, **UNET,
    )  # fmt: skip
    pipeline = StableDiffusionXLPipeline(
        vae=vae(), text_encoder=clip(32), text_encoder_2=clip(32, 24), tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(), unet=redrawn(unet), scheduler=scheduler or sampler(), add_watermarker=False,
    )  # fmt: skip
    pipeline.save_pretrained(directory, safe_serialization=True)
    return directory


def build_refiner(directory: Path, base: Path, seed: int = 2) -> Path:
    """A refiner that shares autoencoder and second text encoder with `base`, as the real ones do."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=8, cross_attention_dim=32, projection_class_embeddings_input_dim=64, up_block_types=UP, **UNET
    )
    given = StableDiffusionXLPipeline.from_pretrained(base, local_files_only=True)
    pipeline = StableDiffusionXLImg2ImgPipeline(
        vae=given.vae, text_encoder=None, tokenizer=None, text_encoder_2=given.text_encoder_2,
        tokenizer_2=given.tokenizer_2, unet=redrawn(unet), scheduler=sampler(), requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False, add_watermarker=False,
    )  # fmt: skip
    pipeline.save_pretrained(directory, safe_serialization=True)
    return directory


def build_controlnet(directory: Path, seed: int = 1) -> Path:
    torch.manual_seed(seed)
    net = ControlNetModel(
        conditioning_embedding_out_channels=(4, 4, 8, 8), cross_attention_dim=64,
        projection_class_embeddings_input_dim=72, **UNET,
    )  # fmt: skip
    redrawn(net).save_pretrained(directory, safe_serialization=True)
    return directory
