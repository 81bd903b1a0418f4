"""The image-to-video model's parts: stock Transformers and Diffusers classes of the Wan 2.1 family, tiny.

8 frames of 64 x 64 pixels become latents [16, 8, 8, 8]; the DiT sees 128 tokens of them, 12 of text (UMT5) and 17 of
the first frame (CLIP vision). Nothing here reads a file or the network.
"""

from __future__ import annotations

import torch
from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline, WanTransformer3DModel
from torch import nn
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    T5Tokenizer,
    UMT5Config,
    UMT5EncoderModel,
)

from brickwork.starter.build import LATENT_CHANNELS, build_t5_tokenizer
from brickwork.starter.video.clips import MAX_WORDS, VOCABULARY

TOKENS = 12
WIDTH = 64  # of both encoders
FLOW_SHIFT = 3.0
assert MAX_WORDS < TOKENS


def build_transformer() -> WanTransformer3DModel:
    """Four blocks of two 64-wide heads; 1.3 M parameters. The output starts at zero."""
    model = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=64,
        in_channels=2 * LATENT_CHANNELS + 1,  # noisy latents, mask, the first frame's latents
        out_channels=LATENT_CHANNELS,
        text_dim=WIDTH,
        freq_dim=64,
        ffn_dim=512,
        num_layers=4,
        cross_attn_norm=True,
        image_dim=WIDTH,
        added_kv_proj_dim=128,
        rope_max_seq_len=32,
    )
    nn.init.zeros_(model.proj_out.weight)
    nn.init.zeros_(model.proj_out.bias)
    return model


def build_text_encoder(tokenizer: T5Tokenizer) -> UMT5EncoderModel:
    return UMT5EncoderModel(
        UMT5Config(
            vocab_size=len(tokenizer),
            d_model=WIDTH,
            d_kv=32,
            d_ff=2 * WIDTH,
            num_layers=2,
            num_heads=2,
            pad_token_id=0,
            eos_token_id=1,
            dropout_rate=0.0,
            is_encoder_decoder=False,
            use_cache=False,
        )
    )


def build_image_encoder() -> CLIPVisionModel:
    return CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=3,  # the pipeline reads the second-last
            num_attention_heads=2,
            image_size=32,
            patch_size=8,
        )
    )


def build_pipeline(seed: int) -> WanImageToVideoPipeline:
    """The whole untrained pipeline but its autoencoder, fp32 on the CPU."""
    torch.manual_seed(seed)
    tokenizer = build_t5_tokenizer(VOCABULARY, TOKENS)
    side = {"height": 32, "width": 32}
    return WanImageToVideoPipeline(
        tokenizer=tokenizer,
        text_encoder=build_text_encoder(tokenizer),
        image_encoder=build_image_encoder(),
        image_processor=CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=side),
        transformer=build_transformer(),
        vae=None,
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=FLOW_SHIFT
        ),
    )
