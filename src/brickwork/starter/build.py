"""The starter model's parts: stock Transformers and Diffusers classes, built from Python objects alone.

64 x 64 pixels become 8 x 8 latents of 16 channels; the DiT sees 64 image tokens and 32 text tokens
(16 of CLIP, 16 of T5). Nothing here reads a file or the network.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from brickwork.starter.words import MAX_WORDS, VOCABULARY

TOKENS = 16  # per text encoder: MAX_WORDS, start and end
CLIP_WIDTH = 64
TEXT_WIDTH = 128  # the two CLIPs side by side; also T5's width
LATENT_CHANNELS = 16
LATENT_SIDE = 8
SHIFT = 2.0  # noise schedule shift; 64 image tokens need little
assert MAX_WORDS + 2 == TOKENS


def build_vae() -> AutoencoderKL:
    """An 8x smaller, 16-channel autoencoder without attention; 1 M parameters."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 64),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=64,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
        force_upcast=False,
        scaling_factor=1.0,
        shift_factor=0.0,
    )


def build_transformer() -> SD3Transformer2DModel:
    """Six joint blocks of two 64-wide heads; 3.5 M parameters. Output and modulation start at zero."""
    model = SD3Transformer2DModel(
        sample_size=LATENT_SIDE,
        patch_size=1,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        num_layers=6,
        attention_head_dim=64,
        num_attention_heads=2,
        joint_attention_dim=TEXT_WIDTH,
        caption_projection_dim=128,
        pooled_projection_dim=2 * CLIP_WIDTH,
        pos_embed_max_size=LATENT_SIDE,
        qk_norm="rms_norm",
    )
    zeroed = [model.proj_out, model.norm_out.linear]
    for block in model.transformer_blocks:
        zeroed += [block.norm1.linear, block.norm1_context.linear]
    for layer in zeroed:  # diffusers leaves them random; a block that starts as identity trains faster
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return model


def build_clip_tokenizer() -> CLIPTokenizer:
    """One token a vocabulary word, made by merging letters; other letters stay letters."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    merges = _merges(VOCABULARY)
    vocab = [*letters, *(f"{letter}</w>" for letter in letters), *(left + right for left, right in merges)]
    vocab += ["<|startoftext|>", "<|endoftext|>"]
    numbers = {piece: index for index, piece in enumerate(dict.fromkeys(vocab))}
    return CLIPTokenizer(vocab=numbers, merges=merges, model_max_length=TOKENS)


def _merges(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Byte-pair merges, in rank order, that make each word one piece.

    Each word is first split by the merges so far ("green" -> g re e n, after "red"), and what is left is merged
    from the left. Later merges rank lower, so they cannot take apart an earlier word.
    """
    merges: list[tuple[str, str]] = []
    for word in words:
        pieces = _split([*word[:-1], f"{word[-1]}</w>"], merges)
        while len(pieces) > 1:
            merges.append((pieces[0], pieces[1]))
            pieces = _split(pieces, merges)
    return merges


def _split(pieces: list[str], merges: list[tuple[str, str]]) -> list[str]:
    """Apply byte-pair merges to `pieces`, best rank first."""
    while True:
        pairs = list(pairwise(pieces))
        known = [pair for pair in pairs if pair in merges]
        if not known:
            return pieces
        at = pairs.index(min(known, key=merges.index))
        pieces = [*pieces[:at], pieces[at] + pieces[at + 1], *pieces[at + 2 :]]


def build_clip(tokenizer: CLIPTokenizer) -> CLIPTextModelWithProjection:
    """A two-layer, 64-wide text encoder whose pooled vector is read at the end token."""
    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=CLIP_WIDTH,
            intermediate_size=4 * CLIP_WIDTH,
            projection_dim=CLIP_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=TOKENS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_t5_tokenizer(words: tuple[str, ...] = VOCABULARY, tokens: int = TOKENS) -> T5Tokenizer:
    """One piece a word; single letters for anything else. Texts are padded to `tokens`."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0), ("▁", -12.0)]
    pieces += [(f"▁{word}", -2.0) for word in words]
    pieces += [(letter, -10.0) for letter in letters if letter not in words]
    tokenizer = T5Tokenizer(vocab=pieces, extra_ids=0)
    tokenizer.model_max_length = tokens
    return tokenizer


def build_t5(tokenizer: T5Tokenizer) -> T5EncoderModel:
    """A two-layer, 128-wide encoder."""
    return T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=TEXT_WIDTH,
            d_kv=32,
            d_ff=2 * TEXT_WIDTH,
            num_layers=2,
            num_heads=4,
            pad_token_id=0,
            eos_token_id=1,
            dropout_rate=0.0,
            is_encoder_decoder=False,
            use_cache=False,
        )
    )


def build_pipeline(seed: int, vae: AutoencoderKL | None = None) -> StableDiffusion3Pipeline:
    """The whole untrained pipeline, fp32 on the CPU."""
    torch.manual_seed(seed)
    clip_tokenizers = build_clip_tokenizer(), build_clip_tokenizer()
    t5_tokenizer = build_t5_tokenizer()
    return StableDiffusion3Pipeline(
        transformer=build_transformer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=SHIFT),
        vae=vae or build_vae(),
        text_encoder=build_clip(clip_tokenizers[0]),
        tokenizer=clip_tokenizers[0],
        text_encoder_2=build_clip(clip_tokenizers[1]),
        tokenizer_2=clip_tokenizers[1],
        text_encoder_3=build_t5(t5_tokenizer),
        tokenizer_3=t5_tokenizer,
    )
