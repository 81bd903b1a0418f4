"""Tiny random LTX-Video directories, text to video and image to video, built from configs alone."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLLTXVideo,
    FlowMatchEulerDiscreteScheduler,
    LTXImageToVideoPipeline,
    LTXPipeline,
    LTXVideoTransformer3DModel,
)

from support.tiny.parts import redrawn, t5, t5_tokenizer


def build(directory: Path, with_image: bool, variant: str = "", seed: int = 0) -> Path:
    """Write a tiny pipeline into `directory` and return it; `variant` "timestep": an autoencoder that is told one."""
    torch.manual_seed(seed)
    (LTXImageToVideoPipeline if with_image else LTXPipeline)(
        tokenizer=t5_tokenizer(),
        text_encoder=t5(32),
        transformer=redrawn(_transformer()),
        vae=redrawn(_vae(variant == "timestep")),
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, shift_terminal=0.1, base_shift=0.95, max_shift=2.05, base_image_seq_len=1024
        ),
    ).save_pretrained(directory, safe_serialization=True)
    return directory


def _transformer() -> LTXVideoTransformer3DModel:
    return LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, num_attention_heads=2, attention_head_dim=12, cross_attention_dim=24,
        num_layers=2, caption_channels=32,
    )  # fmt: skip


def _vae(is_told: bool) -> AutoencoderKLLTXVideo:
    vae = AutoencoderKLLTXVideo(
        latent_channels=8, block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1), decoder_layers_per_block=(1, 1, 1, 1, 1), patch_size=1,
        spatio_temporal_scaling=(True, True, False, False), decoder_spatio_temporal_scaling=(True, True, False, False),
        encoder_causal=True, decoder_causal=False, timestep_conditioning=is_told,
    )  # fmt: skip
    vae.latents_mean.uniform_(-0.5, 0.5)
    vae.latents_std.uniform_(0.5, 1.5)
    return vae
