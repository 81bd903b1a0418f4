"""Parts that tiny families share: a CLIP and a T5 with their tokenizers, an autoencoder, and drawing zeros anew."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)  # fmt: skip

WORDS = ("a", "red", "green", "blue", "circle", "square", "above", "below")
"""Each is one token of the tokenizers."""

MAX_WORDS = 10


def clip(hidden_size: int, projection_dim: int | None = None) -> CLIPTextModel | CLIPTextModelWithProjection:
    """A CLIP text model; with `projection_dim`, one with a projected, pooled output."""
    vocabulary = len(clip_vocabulary())
    config = CLIPTextConfig(
        vocab_size=vocabulary, hidden_size=hidden_size, intermediate_size=2 * hidden_size, num_hidden_layers=2,
        num_attention_heads=2, projection_dim=projection_dim or 32, max_position_embeddings=MAX_WORDS + 2,
        bos_token_id=vocabulary - 2, eos_token_id=vocabulary - 1, pad_token_id=vocabulary - 1,
    )  # fmt: skip
    return CLIPTextModelWithProjection(config) if projection_dim else CLIPTextModel(config)


def t5(d_model: int = 96) -> T5EncoderModel:
    return T5EncoderModel(
        T5Config(vocab_size=len(WORDS) + 3, d_model=d_model, d_ff=128, d_kv=24, num_layers=2, num_heads=4)
    )


def clip_vocabulary() -> dict[str, int]:
    pieces = sorted({letter for word in WORDS for letter in word})
    pieces += [letter + "</w>" for letter in pieces]
    pieces += [piece for first, second in _clip_merges() for piece in [first + second] if piece not in pieces]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    return {piece: index for index, piece in enumerate(pieces)}


def _clip_merges() -> list[tuple[str, str]]:
    """Merge chains that build each word from its left: r+e, re+d</w>."""
    merges: dict[tuple[str, str], None] = {}
    for word in WORDS:
        letters = [*word[:-1], word[-1] + "</w>"]
        for at in range(1, len(letters)):
            merges["".join(letters[:at]), letters[at]] = None
    return list(merges)


def clip_tokenizer() -> CLIPTokenizer:
    return CLIPTokenizer(vocab=clip_vocabulary(), merges=_clip_merges(), model_max_length=MAX_WORDS + 2)


def t5_tokenizer() -> T5Tokenizer:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + [("▁" + word, -1.0) for word in WORDS]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=MAX_WORDS + 1)


def vae(channels: int = 4, shift_factor: float | None = None, use_quant_conv: bool = True) -> AutoencoderKL:
    """Four levels, so that a latent is 8 pixels, as in all real ones."""
    return redrawn(
        AutoencoderKL(
            block_out_channels=(4, 4, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=channels, layers_per_block=1, norm_num_groups=2,
            sample_size=64, scaling_factor=0.7, shift_factor=shift_factor, use_quant_conv=use_quant_conv,
            use_post_quant_conv=use_quant_conv,
        )
    )  # fmt: skip


def redrawn(module: torch.nn.Module) -> torch.nn.Module:
    """The module with parameters that are zero drawn anew."""
    for parameter in module.parameters():
        if parameter.ndim > 0 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return module
