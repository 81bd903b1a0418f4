"""Tiny random Wan pipeline directories, text to video and image to video, built from configs alone.

Classes, layout and files are those of real ones: UMT5, CLIP vision, Wan's transformer and its autoencoder in time.
Parameters that start at zero are drawn anew, so that a wrong wiring can't hide behind them.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)
from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

from support.tiny.parts import redrawn, t5_tokenizer

VARIANTS = ("2.1", "2.2", "2.2-5B")
"""One transformer, for pictures with an image encoder; two, for high and low noise; one with a timestep per token."""


def build(directory: Path, with_image: bool, variant: str = "2.1", seed: int = 0) -> Path:
    """Write a tiny pipeline into `directory` and return it; `with_image`: image to video."""
    torch.manual_seed(seed)
    tokenizer = t5_tokenizer()
    sees = with_image and variant == "2.1"
    channels = 36 if with_image and variant != "2.2-5B" else 16
    parts = {
        "tokenizer": tokenizer,
        "text_encoder": redrawn(_text_encoder(len(tokenizer))),
        "transformer": redrawn(_transformer(channels, sees)),
        "vae": redrawn(_vae()),
        "scheduler": UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
    }
    if variant == "2.2":
        parts |= {"transformer_2": redrawn(_transformer(channels, sees)), "boundary_ratio": 0.9}
    if variant == "2.2-5B":
        parts["expand_timesteps"] = True
    if sees:
        side = {"height": 32, "width": 32}
        parts |= {
            "image_encoder": _image_encoder(),
            "image_processor": CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=side),
        }
    (WanImageToVideoPipeline if with_image else WanPipeline)(**parts).save_pretrained(
        directory, safe_serialization=True
    )
    return directory


def _text_encoder(words: int) -> UMT5EncoderModel:
    return UMT5EncoderModel(
        UMT5Config(
            vocab_size=words, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, pad_token_id=0, eos_token_id=1,
            dropout_rate=0.0, is_encoder_decoder=False, use_cache=False,
        )
    )  # fmt: skip


def _image_encoder() -> CLIPVisionModel:
    return CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=24, intermediate_size=37, projection_dim=24, num_hidden_layers=3, num_attention_heads=2,
            image_size=32, patch_size=8,
        )
    )  # fmt: skip


def _transformer(channels: int, sees: bool) -> WanTransformer3DModel:
    image = {"image_dim": 24, "added_kv_proj_dim": 24} if sees else {}
    return WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=channels,
        out_channels=16, text_dim=32, freq_dim=256, ffn_dim=32, num_layers=2, cross_attn_norm=True,
        rope_max_seq_len=32, **image,
    )  # fmt: skip


def _vae() -> AutoencoderKLWan:
    return AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
