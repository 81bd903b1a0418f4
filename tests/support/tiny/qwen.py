"""A tiny Qwen-Image directory and its ControlNet. The tokenizer has bytes only: texts are as long as their letters."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImageControlNetModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
)  # fmt: skip
from tokenizers.pre_tokenizers import ByteLevel
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer

from support.tiny.parts import redrawn

BYTES = {letter: index for index, letter in enumerate(sorted(ByteLevel.alphabet()))}
END = "<|endoftext|>"


def build(directory: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    transformer = QwenImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=2, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, guidance_embeds=False, axes_dims_rope=(8, 4, 4),
    )  # fmt: skip
    vae = AutoencoderKLQwenImage(
        base_dim=8, z_dim=4, dim_mult=[1, 2, 2, 2], num_res_blocks=1, temperal_downsample=[False, True, True],
        latents_mean=[0.1, -0.2, 0.3, 0.0], latents_std=[0.9, 1.1, 1.3, 1.0],
    )  # fmt: skip
    shifting = {"use_dynamic_shifting": True, "shift_terminal": 0.02, "base_shift": 0.5, "max_shift": 0.9}
    pipeline = QwenImagePipeline(
        transformer=redrawn(transformer), vae=redrawn(vae), text_encoder=_encoder(),
        scheduler=FlowMatchEulerDiscreteScheduler(**shifting),
        tokenizer=Qwen2Tokenizer(vocab=BYTES | {END: len(BYTES)}, merges=[]),
    )  # fmt: skip
    pipeline.save_pretrained(directory, safe_serialization=True)
    return directory


def build_controlnet(directory: Path, seed: int = 1) -> Path:
    torch.manual_seed(seed)
    net = QwenImageControlNetModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, axes_dims_rope=(8, 4, 4),
    )  # fmt: skip
    redrawn(net).save_pretrained(directory, safe_serialization=True)
    return directory


def _encoder() -> Qwen2_5_VLForConditionalGeneration:
    size = len(BYTES) + 1
    text = dict(
        hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        vocab_size=size, bos_token_id=size - 1, eos_token_id=size - 1,
        rope_parameters={"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e6},
    )  # fmt: skip
    sight = dict(depth=1, hidden_size=16, intermediate_size=16, num_heads=2, out_hidden_size=32)
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=sight))
