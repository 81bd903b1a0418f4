"""Reads a Wan directory into plain numbers and ModelSpecs, and refuses what the nodes would not compute exactly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.core.model import ModelSpec
from brickwork.models.image.sampling import Sampler, read_sampler
from brickwork.workflow.components import Component, read_component
from brickwork.workflow.family import Border, read_border
from brickwork.workflow.identity import model_spec

DTYPE = "float32"

TEXT_TOKENS = 512
"""The stock pipelines' `max_sequence_length`, where the tokenizer does not ask for less."""

TOKENIZERS = ("T5Tokenizer", "T5TokenizerFast")
VAES = ("AutoencoderKLWan", "AutoencoderKL")
PROCESSORS = ("CLIPImageProcessor", "CLIPImageProcessorPil", "CLIPImageProcessorFast")
UNSUPPORTED = {"boundary_ratio": None, "expand_timesteps": False, "transformer_2": [None, None]}
"""Of model_index.json: what Wan 2.2 adds, each with the only value that the nodes compute."""

SAMPLERS = ("UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler")


@dataclass(frozen=True)
class WanConfig:
    """All that the family's nodes need to know of the directory."""

    text: ModelSpec
    text_tokens: int
    text_width: int
    image: ModelSpec | None  # the vision model, for image to video
    image_tokens: int
    image_width: int
    transformer: ModelSpec
    vae: ModelSpec
    channels: int  # of latents
    over: int  # pixels per latent, each side
    per_latent: int  # frames per latent frame
    patch: int  # latents per token, each side
    sampler: Sampler
    border: Border

    @property
    def multiple_of(self) -> int:
        """Pixels of a side come in multiples of it."""
        return self.over * self.patch


def read_config(root: Path, index: dict[str, Any]) -> WanConfig:
    """Read and check the pipeline directory `root`; raises ModelError."""
    for option, supported in UNSUPPORTED.items():
        if index.get(option, supported) != supported:
            raise ModelError(f"{root}: model_index.json has {option} {index[option]!r}; Wan 2.1 directories have none.")
    text = read_component(root, index, "text_encoder", ("UMT5EncoderModel",))
    tokenizer = read_component(root, index, "tokenizer", TOKENIZERS)
    transformer = read_component(root, index, "transformer", ("WanTransformer3DModel",))
    vae = read_component(root, index, "vae", VAES)
    takes_image = transformer.config.get("image_dim") is not None
    vision = read_component(root, index, "image_encoder", ("CLIPVisionModel",)) if takes_image else None
    channels, over, per_latent = _shrinks(vae)
    config = WanConfig(
        text=model_spec("umt5_text", text, DTYPE, tokenizer),
        text_tokens=min(TEXT_TOKENS, int(tokenizer.config.get("model_max_length", TEXT_TOKENS))),
        text_width=text.get("d_model", int),
        image=_vision(root, index, vision) if vision else None,
        image_tokens=1 + (vision.get("image_size", int) // vision.get("patch_size", int)) ** 2 if vision else 0,
        image_width=vision.get("hidden_size", int) if vision else 0,
        transformer=model_spec("wan_transformer", transformer, DTYPE),
        vae=model_spec("vae" if vae.class_name == "AutoencoderKL" else "wan_vae", vae, DTYPE),
        channels=channels,
        over=over,
        per_latent=per_latent,
        patch=transformer.get("patch_size", list)[1],
        sampler=read_sampler(root, index, SAMPLERS),
        border=read_border(root),
    )
    _check_fit(config, transformer)
    return config


def _shrinks(vae: Component) -> tuple[int, int, int]:
    """(channels, pixels per latent, frames per latent) of an autoencoder."""
    if vae.class_name == "AutoencoderKL":
        return vae.get("latent_channels", int), 2 ** (len(vae.get("block_out_channels", list)) - 1), 1
    downsamples = vae.get("temperal_downsample", list)
    space = int(vae.config.get("scale_factor_spatial") or 2 ** len(vae.get("dim_mult", list)[1:]))
    return vae.get("z_dim", int), space, int(vae.config.get("scale_factor_temporal") or 2 ** sum(downsamples))


def _vision(root: Path, index: dict[str, Any], vision: Component) -> ModelSpec:
    return model_spec("clip_vision", vision, DTYPE, read_component(root, index, "image_processor", PROCESSORS))


def _check_fit(config: WanConfig, transformer: Component) -> None:
    """The transformer must take what the other components give."""
    condition = config.per_latent + config.channels if config.image else 0
    wanted = {
        "in_channels": config.channels + condition,
        "out_channels": config.channels,
        "text_dim": config.text_width,
        "image_dim": config.image_width or None,
    }
    for key, value in wanted.items():
        if (found := transformer.config.get(key)) != value:
            raise ModelError(f"{transformer.directory}: {key} is {found}, but the other components give {value}.")
