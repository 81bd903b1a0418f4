"""A tiny random StableDiffusion3Pipeline directory, built from configs alone in a fraction of a second.

Its classes, layout and files are those of a real one, so whatever reads or runs an SD3 directory can be tested
without a trained model. Parameters that diffusers initialises to zero are drawn anew: with them at zero, whole
branches of the transformer would contribute nothing and a wrong wiring could go unnoticed.

The words it tokenizes are in WORDS; each is one token of both tokenizers.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

WORDS = ("a", "red", "green", "blue", "circle", "square", "above", "below")
MAX_WORDS = 10
BORDER = {
    "sizes": [[64, 64]],
    "defaults": {"steps": 4, "guidance": 2.0},
    "words": list(WORDS),
    "max_words": MAX_WORDS,
}


def build_tiny_sd3(directory: Path, seed: int = 0, border: dict[str, object] | None = BORDER) -> Path:
    """Write a tiny SD3 pipeline into `directory` and return it.

    border    content of its `brickwork.json`; None: no such file, as in directories from elsewhere
    """
    torch.manual_seed(seed)
    pipeline = StableDiffusion3Pipeline(
        transformer=_transformer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=2.0),
        vae=_vae(),
        text_encoder=_clip(hidden_size=32, projection_dim=24),
        tokenizer=_clip_tokenizer(),
        text_encoder_2=_clip(hidden_size=48, projection_dim=40),
        tokenizer_2=_clip_tokenizer(),
        text_encoder_3=_t5(),
        tokenizer_3=_t5_tokenizer(),
    )
    for module in (pipeline.transformer, pipeline.vae):
        _redraw_zeros(module)
    pipeline.save_pretrained(directory, safe_serialization=True)
    if border is not None:
        (directory / "brickwork.json").write_text(json.dumps(border, indent=2))
    return directory


def _transformer() -> SD3Transformer2DModel:
    return SD3Transformer2DModel(
        sample_size=8, patch_size=1, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=96, caption_projection_dim=32, pooled_projection_dim=64,
        pos_embed_max_size=16, qk_norm="rms_norm",
    )  # fmt: skip


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8, 16, 16), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4, layers_per_block=1, norm_num_groups=4,
        sample_size=64, scaling_factor=1.5, shift_factor=0.06, mid_block_add_attention=False,
        use_quant_conv=False, use_post_quant_conv=False,
    )  # fmt: skip


def _clip(hidden_size: int, projection_dim: int) -> CLIPTextModelWithProjection:
    vocabulary = len(_clip_vocabulary())
    config = CLIPTextConfig(
        vocab_size=vocabulary, hidden_size=hidden_size, intermediate_size=2 * hidden_size, num_hidden_layers=2,
        num_attention_heads=2, projection_dim=projection_dim, max_position_embeddings=MAX_WORDS + 2,
        bos_token_id=vocabulary - 2, eos_token_id=vocabulary - 1, pad_token_id=vocabulary - 1,
    )  # fmt: skip
    return CLIPTextModelWithProjection(config)


def _t5() -> T5EncoderModel:
    return T5EncoderModel(T5Config(vocab_size=len(WORDS) + 3, d_model=96, d_ff=128, d_kv=24, num_layers=2, num_heads=4))


def _clip_vocabulary() -> dict[str, int]:
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


def _clip_tokenizer() -> CLIPTokenizer:
    return CLIPTokenizer(vocab=_clip_vocabulary(), merges=_clip_merges(), model_max_length=MAX_WORDS + 2)


def _t5_tokenizer() -> T5Tokenizer:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + [("▁" + word, -1.0) for word in WORDS]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=MAX_WORDS + 1)


def _redraw_zeros(module: torch.nn.Module) -> None:
    for parameter in module.parameters():
        if parameter.ndim > 0 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
