"""Reads a Wan directory into plain numbers and ModelSpecs, and refuses what the nodes would not compute exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from brickwork.core.errors import ModelError
from brickwork.core.model import ModelSpec
from brickwork.models.image.sampling import Sampler, read_sampler
from brickwork.workflow.components import Component, Index, is_listed, read_component
from brickwork.workflow.identity import model_spec

TEXT_TOKENS = 512
"""The stock pipelines' `max_sequence_length`, where the tokenizer does not ask for less."""

TOKENIZERS = ("T5Tokenizer", "T5TokenizerFast")
VAES = ("AutoencoderKLWan", "AutoencoderKL")
PROCESSORS = ("CLIPImageProcessor", "CLIPImageProcessorPil", "CLIPImageProcessorFast")
SAMPLERS = ("UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler")


@dataclass(frozen=True)
class WanConfig:
    """All that the family's nodes need to know of the directory."""

    text: ModelSpec
    text_tokens: int
    text_width: int
    from_image: bool  # image to video
    image: ModelSpec | None  # the vision model of Wan 2.1's image to video
    image_tokens: int
    image_width: int
    transformer: ModelSpec
    expert: ModelSpec | None  # Wan 2.2: the transformer for the steps of low noise
    first_share: float  # of the steps, all but the one at which `expert` takes over; 0 where there is none
    expands: bool  # Wan 2.2 5B: a timestep per token, and the first frame stands in the latents themselves
    vae: ModelSpec
    channels: int  # of latents
    over: int  # pixels per latent, each side
    per_latent: int  # frames per latent frame
    patch: int  # latents per token, each side
    sampler: Sampler


def read_config(root: Path, index: Index) -> WanConfig:
    """Read and check the pipeline directory `root`; raises ModelError."""
    text = read_component(root, index, "text_encoder", ("UMT5EncoderModel",))
    tokenizer = read_component(root, index, "tokenizer", TOKENIZERS)
    transformer = read_component(root, index, "transformer", ("WanTransformer3DModel",))
    vae = read_component(root, index, "vae", VAES)
    takes_image = transformer.config.get("image_dim") is not None
    vision = read_component(root, index, "image_encoder", ("CLIPVisionModel",)) if takes_image else None
    channels, over, per_latent = _shrinks(vae)
    config = WanConfig(
        text=model_spec("umt5_text", text, tokenizer),
        text_tokens=min(TEXT_TOKENS, int(tokenizer.config.get("model_max_length", TEXT_TOKENS))),
        text_width=text.get("d_model", int),
        from_image=index.get("_class_name") == "WanImageToVideoPipeline",
        image=_vision(root, index, vision) if vision else None,
        image_tokens=1 + (vision.get("image_size", int) // vision.get("patch_size", int)) ** 2 if vision else 0,
        image_width=vision.get("hidden_size", int) if vision else 0,
        transformer=model_spec("wan_transformer", transformer),
        expert=_read_expert(root, index),
        first_share=_read_share(root, index),
        expands=index.get("expand_timesteps") is True,
        vae=model_spec("vae" if vae.class_name == "AutoencoderKL" else "wan_vae", vae),
        channels=channels,
        over=over,
        per_latent=per_latent,
        patch=transformer.get("patch_size", list)[1],
        sampler=read_sampler(root, index, SAMPLERS),
    )
    _check_fit(config, transformer)
    return config


def _read_expert(root: Path, index: Index) -> ModelSpec | None:
    if not is_listed(index, "transformer_2"):
        return None
    expert = read_component(root, index, "transformer_2", ("WanTransformer3DModel",))
    return model_spec("wan_transformer", expert)


def _read_share(root: Path, index: Index) -> float:
    """The share of the steps that lie above the boundary of noise which model_index.json names.

    The schedule is sigma(u) = shift u / (1 + (shift - 1) u) at u = 1 - i (1 - 1/N) / steps: sigma is at least the
    boundary at every i up to steps times what is returned.
    """
    ratio = index.get("boundary_ratio")
    if ratio is None and not is_listed(index, "transformer_2"):
        return 0.0
    if not isinstance(ratio, float) or not 0.0 < ratio < 1.0 or not is_listed(index, "transformer_2"):
        raise ModelError(
            f"{root}: boundary_ratio is {ratio!r} in model_index.json; with a transformer_2 expected a number "
            "between 0 and 1, without one none."
        )
    sampler = read_component(root, index, "scheduler", ("UniPCMultistepScheduler",))
    if sampler.config.get("use_flow_sigmas") is not True or sampler.config.get("use_dynamic_shifting"):
        raise ModelError(f"{sampler.directory}: with two transformers, use_flow_sigmas without shifting is supported.")
    shift, count = sampler.get("flow_shift", float), sampler.get("num_train_timesteps", int)
    edge = math.ceil(ratio * count) / count  # timesteps are whole numbers
    return (1 - edge / (shift - (shift - 1) * edge)) / (1 - 1 / count)


def _shrinks(vae: Component) -> tuple[int, int, int]:
    """(channels, pixels per latent, frames per latent) of an autoencoder."""
    if vae.class_name == "AutoencoderKL":
        return vae.get("latent_channels", int), 2 ** (len(vae.get("block_out_channels", list)) - 1), 1
    downsamples = vae.get("temperal_downsample", list)
    space = int(vae.config.get("scale_factor_spatial") or 2 ** len(vae.get("dim_mult", list)[1:]))
    return vae.get("z_dim", int), space, int(vae.config.get("scale_factor_temporal") or 2 ** sum(downsamples))


def _vision(root: Path, index: Index, vision: Component) -> ModelSpec:
    return model_spec("clip_vision", vision, read_component(root, index, "image_processor", PROCESSORS))


def _check_fit(config: WanConfig, transformer: Component) -> None:
    """The transformer must take what the other components give."""
    condition = config.per_latent + config.channels if config.from_image and not config.expands else 0
    wanted = {
        "in_channels": config.channels + condition,
        "out_channels": config.channels,
        "text_dim": config.text_width,
        "image_dim": config.image_width or None,
    }
    for key, value in wanted.items():
        if (found := transformer.config.get(key)) != value:
            raise ModelError(f"{transformer.directory}: {key} is {found}, but the other components give {value}.")
