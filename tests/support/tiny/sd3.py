"""Tiny Stable Diffusion 3 directories: the pipeline with and without T5, ControlNets of both conventions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    SD3ControlNetModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)  # fmt: skip

from support.tiny.parts import MAX_WORDS, WORDS, clip, clip_tokenizer, redrawn, t5, t5_tokenizer, vae

BORDER = {
    "sizes": [[64, 64]],
    "defaults": {"steps": 4, "guidance": 2.0},
    "words": list(WORDS),
    "max_words": MAX_WORDS,
}
TRANSFORMER: dict[str, Any] = dict(
    sample_size=8, patch_size=1, attention_head_dim=16, num_attention_heads=2, caption_projection_dim=32,
    pooled_projection_dim=64, pos_embed_max_size=16,
)  # fmt: skip
SHARING: dict[str, Any] = dict(use_pos_embed=False, joint_attention_dim=None, force_zeros_for_pooled_projection=False)
"""Options of a ControlNet that sees no text and shares the transformer's positions."""


def build(
    directory: Path,
    seed: int = 0,
    border: dict[str, object] | None = BORDER,
    with_t5: bool = True,
    channels: int = 4,
    dual: tuple[int, ...] = (),
    **scheduler: Any,
) -> Path:
    """Write a tiny SD3 pipeline into `directory` and return it.

    border      content of its `brickwork.json`; None: no such file, as in directories from elsewhere
    channels    of latents; the stock inpainting pipeline insists on 16
    dual        blocks with a second attention, of SD3.5 medium
    """
    torch.manual_seed(seed)
    transformer = SD3Transformer2DModel(
        in_channels=channels, out_channels=channels, num_layers=2, joint_attention_dim=96, qk_norm="rms_norm",
        dual_attention_layers=dual, **TRANSFORMER,
    )  # fmt: skip
    pipeline = StableDiffusion3Pipeline(
        transformer=redrawn(transformer),
        scheduler=FlowMatchEulerDiscreteScheduler(**{"shift": 2.0, **scheduler}),
        vae=vae(channels, shift_factor=0.06, use_quant_conv=False),
        text_encoder=clip(32, 24),
        tokenizer=clip_tokenizer(),
        text_encoder_2=clip(48, 40),
        tokenizer_2=clip_tokenizer(),
        text_encoder_3=t5() if with_t5 else None,
        tokenizer_3=t5_tokenizer() if with_t5 else None,
    )
    pipeline.save_pretrained(directory, safe_serialization=True)
    if border is not None:
        (directory / "brickwork.json").write_text(json.dumps(border, indent=2))
    return directory


def build_controlnet(directory: Path, seed: int = 1, channels: int = 4, **options: Any) -> Path:
    """A ControlNet with one block for two of the transformer's. `SHARING` makes one of SD3.5 large."""
    torch.manual_seed(seed)
    given = {"joint_attention_dim": 96, "num_layers": 1, **options}
    net = SD3ControlNetModel(in_channels=channels, out_channels=channels, **TRANSFORMER, **given)
    redrawn(net).save_pretrained(directory, safe_serialization=True)
    return directory
