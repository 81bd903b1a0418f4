"""Tiny Flux directories: dev (told its guidance), schnell, ControlNets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxControlNetModel, FluxPipeline, FluxTransformer2DModel

from support.tiny.parts import clip, clip_tokenizer, redrawn, t5, t5_tokenizer, vae

TRANSFORMER: dict[str, Any] = dict(
    in_channels=16, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=96, pooled_projection_dim=32,
    axes_dims_rope=(4, 4, 8),
)  # fmt: skip


def build(directory: Path, is_dev: bool = True, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    transformer = FluxTransformer2DModel(num_layers=2, num_single_layers=2, guidance_embeds=is_dev, **TRANSFORMER)
    shifting = {"shift": 3.0, "use_dynamic_shifting": True} if is_dev else {"shift": 1.0}
    pipeline = FluxPipeline(
        transformer=redrawn(transformer), scheduler=FlowMatchEulerDiscreteScheduler(**shifting),
        vae=vae(4, shift_factor=0.06, use_quant_conv=False), text_encoder=clip(32), tokenizer=clip_tokenizer(),
        text_encoder_2=t5(), tokenizer_2=t5_tokenizer(),
    )  # fmt: skip
    pipeline.save_pretrained(directory, safe_serialization=True)
    return directory


def build_controlnet(directory: Path, seed: int = 1, **options: Any) -> Path:
    torch.manual_seed(seed)
    given = {"num_layers": 1, "num_single_layers": 1, "guidance_embeds": False, **options}
    redrawn(FluxControlNetModel(**TRANSFORMER, **given)).save_pretrained(directory, safe_serialization=True)
    return directory
