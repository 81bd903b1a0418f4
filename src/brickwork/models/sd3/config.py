"""Reads what is SD3's own in a directory: three text encoders, one of them optional, the transformer, ControlNets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec
from brickwork.models.image.controls import ControlNet
from brickwork.models.image.encoders import TextModel, read_clip, read_clip_tokenizer, read_t5
from brickwork.models.image.space import LatentSpace, Sizes
from brickwork.workflow.components import Component, Index, is_listed, read_model, stored_tensors, weight_files
from brickwork.workflow.identity import model_spec
from brickwork.workflow.variants import Variant

T5_TOKENS = 256
"""The stock pipeline's `max_sequence_length`. T5 gets no mask, so the padded length is part of the result."""

CLIP = "CLIPTextModelWithProjection"

POSITIONS = "pos_embed."
"""How the names of the transformer's patches and positions begin in its files."""


def read_encoders(root: Path, index: Index) -> tuple[TextModel, TextModel, TextModel | None]:
    """Both CLIPs and T5; a directory may do without T5."""
    tokenizer = read_clip_tokenizer(root, index, "tokenizer")
    # The stock pipeline pads for both CLIPs to the length of the first tokenizer.
    tokens = tokenizer.get("model_max_length", int)
    tokenizer_2 = read_clip_tokenizer(root, index, "tokenizer_2")
    clip_1 = read_clip(root, index, "text_encoder", CLIP, tokenizer, tokens, "sd3")
    clip_2 = read_clip(root, index, "text_encoder_2", CLIP, tokenizer_2, tokens, "sd3")
    has_t5 = is_listed(index, "text_encoder_3")
    t5 = read_t5(root, index, "text_encoder_3", "tokenizer_3", T5_TOKENS, "sd3") if has_t5 else None
    return clip_1, clip_2, t5


def with_preview(spec: ModelSpec, directory: Path) -> ModelSpec:
    """The spec with the map that shows unfinished latents, when the directory has one. No part of the identity."""
    path = directory / "preview.safetensors"
    return replace(spec, extras=(*spec.extras, ("preview", str(path)))) if path.is_file() else spec


def sizes_of(transformer: Component, space: LatentSpace) -> Sizes:
    """Sides come in whole tokens, at most as many as the position embedding has."""
    unit = space.over * transformer.get("patch_size", int)
    side = transformer.get("sample_size", int) * space.over
    return Sizes((side, side), unit, transformer.get("pos_embed_max_size", int) * unit)


def check_fit(
    transformer: Component, space: LatentSpace, clip_1: TextModel, clip_2: TextModel, t5: TextModel | None
) -> None:
    """The transformer must take what the other components give."""
    width = transformer.get("joint_attention_dim", int)
    wanted = {
        "in_channels": space.channels,
        "out_channels": space.channels,
        "joint_attention_dim": width if t5 is None else t5.width,
        "pooled_projection_dim": clip_1.pooled + clip_2.pooled,
    }
    for key, value in wanted.items():
        if (found := transformer.get(key, int)) != value:
            raise ModelError(f"{transformer.directory}: {key} is {found}, but the other components give {value}.")
    if clip_1.width + clip_2.width > width:
        raise ModelError(f"{transformer.directory}: the CLIP encoders together are wider than T5.")


def read_controlnet(root: Path, variant: Variant, transformer: Component, attrs: dict[str, Any]) -> ControlNet:
    """The ControlNet in a directory of its own. One without `joint_attention_dim` gets no text, and one without
    `use_pos_embed` shares the transformer's positions (SD3.5's)."""
    net = read_model(root, ("SD3ControlNetModel",), variant)
    if (extra := net.config.get("extra_conditioning_channels", 0)) != 0:
        raise ModelError(f"{root}: extra_conditioning_channels is {extra!r}; supported: 0.")
    for key in ("in_channels", "patch_size", "num_attention_heads", "attention_head_dim"):
        if (found := net.get(key, int)) != (wanted := transformer.get(key, int)):
            raise ModelError(f"{root}: {key} is {found}, but the base model needs {wanted}.")
    width = net.get("num_attention_heads", int) * net.get("attention_head_dim", int)
    layout = {"blocks": net.get("num_layers", int), "width": width, "patch": net.get("patch_size", int)}
    zeros = bool(net.config.get("force_zeros_for_pooled_projection", True))
    spec = model_spec("sd3_controlnet", net)
    if net.config.get("use_pos_embed", True) is False:
        spec = _with_positions(spec, net, transformer)
    return ControlNet(spec, "sd3.control", attrs | layout | {"zero_pooled": zeros})


def _with_positions(spec: ModelSpec, net: Component, transformer: Component) -> ModelSpec:
    """The spec of a ControlNet that borrows a transformer's positions: another transformer, another model."""
    base = model_spec("sd3_transformer", transformer).id.rpartition("-")[2]
    borrowed = sum(
        net.variant.nbytes(net.class_name, tensor.name, tensor.shape, tensor.dtype)
        for tensor in stored_tensors(weight_files(transformer.directory))
        if tensor.name.startswith(POSITIONS)
    )
    return replace(
        spec,
        id=ModelId(f"{spec.id}-{base}"),
        weight_bytes=spec.weight_bytes + borrowed,
        extras=(*spec.extras, ("positions", str(transformer.directory))),
    )
