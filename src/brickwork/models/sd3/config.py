"""Reads an SD3 directory into plain numbers and ModelSpecs, and refuses what the nodes would not compute exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.core.model import ModelSpec
from brickwork.workflow.components import Component, read_component
from brickwork.workflow.family import Border, read_border
from brickwork.workflow.identity import model_spec

DTYPE = "float32"
"""Weights are used in it whatever they are stored in: on a CPU nothing narrower is faster for one image."""

T5_TOKENS = 256
"""The stock pipeline's `max_sequence_length`. T5 gets no mask, so the padded length is part of the result."""

CLIP_CLASSES = ("CLIPTextModelWithProjection",)
CLIP_TOKENIZERS = ("CLIPTokenizer", "CLIPTokenizerFast")
T5_TOKENIZERS = ("T5Tokenizer", "T5TokenizerFast")

PLAIN_EULER: dict[str, object] = {
    "use_dynamic_shifting": False, "invert_sigmas": False, "shift_terminal": None, "use_karras_sigmas": False,
    "use_exponential_sigmas": False, "use_beta_sigmas": False, "stochastic_sampling": False,
}  # fmt: skip
"""Options of FlowMatchEulerDiscreteScheduler, each with the only value that `sampler.euler` computes."""


@dataclass(frozen=True)
class TextModel:
    """A text encoder: `pooled` is 0 for T5."""

    spec: ModelSpec
    tokens: int
    width: int
    pooled: int = 0


@dataclass(frozen=True)
class SD3Config:
    """All that the family's nodes need to know of the directory."""

    clip_1: TextModel
    clip_2: TextModel
    t5: TextModel
    transformer: ModelSpec
    vae: ModelSpec
    channels: int  # of latents
    over: int  # pixels per latent, each side
    patch: int  # latents per token, each side
    max_tokens: int  # tokens per side that the position embedding has
    sample_size: int  # native latents per side
    shift: float
    num_train_timesteps: int
    scaling_factor: float
    shift_factor: float
    border: Border

    @property
    def multiple_of(self) -> int:
        """Pixels of a side come in multiples of it."""
        return self.over * self.patch

    @property
    def max_side(self) -> int:
        return self.max_tokens * self.multiple_of


def read_config(root: Path, index: dict[str, Any]) -> SD3Config:
    """Read and check the pipeline directory `root`; raises ModelError."""
    vae = read_component(root, index, "vae", ("AutoencoderKL",))
    transformer = read_component(root, index, "transformer", ("SD3Transformer2DModel",))
    sampler = _read_sampler(root, index)
    tokenizer = read_component(root, index, "tokenizer", CLIP_TOKENIZERS)
    # The stock pipeline pads for both CLIPs to the length of the first tokenizer.
    tokens = tokenizer.get("model_max_length", int)
    config = SD3Config(
        clip_1=_read_clip(root, index, "text_encoder", tokenizer, tokens),
        clip_2=_read_clip(
            root, index, "text_encoder_2", read_component(root, index, "tokenizer_2", CLIP_TOKENIZERS), tokens
        ),
        t5=_read_t5(root, index),
        transformer=_with_preview(model_spec("sd3_transformer", transformer, DTYPE), transformer.directory),
        vae=model_spec("vae", vae, DTYPE),
        channels=vae.get("latent_channels", int),
        over=2 ** (len(vae.get("block_out_channels", list)) - 1),
        patch=transformer.get("patch_size", int),
        max_tokens=transformer.get("pos_embed_max_size", int),
        sample_size=transformer.get("sample_size", int),
        shift=sampler.get("shift", float),
        num_train_timesteps=sampler.get("num_train_timesteps", int),
        scaling_factor=vae.get("scaling_factor", float),
        shift_factor=vae.get("shift_factor", float),
        border=read_border(root),
    )
    _check_fit(config, transformer)
    _check_border(root, config)
    return config


def _with_preview(spec: ModelSpec, directory: Path) -> ModelSpec:
    """The spec with the map that shows unfinished latents, when the directory has one. No part of the identity."""
    path = directory / "preview.safetensors"
    return replace(spec, extras=(*spec.extras, ("preview", str(path)))) if path.is_file() else spec


def _read_clip(root: Path, index: dict[str, Any], name: str, tokenizer: Component, tokens: int) -> TextModel:
    clip = read_component(root, index, name, CLIP_CLASSES)
    if tokens > (places := clip.get("max_position_embeddings", int)):
        raise ModelError(f"{clip.directory}: texts are padded to {tokens} tokens, but it has {places} positions.")
    spec = model_spec("clip_text", clip, DTYPE, tokenizer)
    return TextModel(spec, tokens, clip.get("hidden_size", int), clip.get("projection_dim", int))


def _read_t5(root: Path, index: dict[str, Any]) -> TextModel:
    t5 = read_component(root, index, "text_encoder_3", ("T5EncoderModel",))
    tokenizer = read_component(root, index, "tokenizer_3", T5_TOKENIZERS)
    tokens = min(T5_TOKENS, int(tokenizer.config.get("model_max_length", T5_TOKENS)))
    return TextModel(model_spec("t5_text", t5, DTYPE, tokenizer), tokens, t5.get("d_model", int))


def _read_sampler(root: Path, index: dict[str, Any]) -> Component:
    sampler = read_component(root, index, "scheduler", ("FlowMatchEulerDiscreteScheduler",))
    for option, supported in PLAIN_EULER.items():
        if (found := sampler.config.get(option, supported)) != supported:
            raise ModelError(f"{sampler.directory}: {option} is {found!r}; supported: {supported!r}.")
    return sampler


def _check_fit(config: SD3Config, transformer: Component) -> None:
    """The transformer must take what the other components give."""
    wanted = {
        "in_channels": config.channels,
        "out_channels": config.channels,
        "joint_attention_dim": config.t5.width,
        "pooled_projection_dim": config.clip_1.pooled + config.clip_2.pooled,
    }
    for key, value in wanted.items():
        if (found := transformer.get(key, int)) != value:
            raise ModelError(f"{transformer.directory}: {key} is {found}, but the other components give {value}.")
    if config.clip_1.width + config.clip_2.width > config.t5.width:
        raise ModelError(f"{transformer.directory}: the CLIP encoders together are wider than T5.")


def _check_border(root: Path, config: SD3Config) -> None:
    for size in config.border.sizes:
        if any(side % config.multiple_of or side > config.max_side for side in size):
            raise ModelError(
                f"{root / 'brickwork.json'}: size {list(size)} is impossible; sides are multiples of "
                f"{config.multiple_of} up to {config.max_side}."
            )
