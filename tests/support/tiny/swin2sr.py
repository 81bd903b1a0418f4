"""A tiny image upscaler."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution

from support.tiny.parts import redrawn


def build(directory: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    config = Swin2SRConfig(
        image_size=32, patch_size=1, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=8, upscale=2,
        upsampler="pixelshuffledirect",
    )  # fmt: skip
    redrawn(Swin2SRForImageSuperResolution(config)).save_pretrained(directory, safe_serialization=True)
    return directory
