"""Reads UNets and their ControlNets into plain numbers. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.models.image.controls import ControlNet, Residual
from brickwork.models.image.space import MAX_SIDE, LatentSpace, Sizes
from brickwork.workflow.components import Component, Index, read_component, read_model
from brickwork.workflow.identity import model_spec
from brickwork.workflow.variants import Variant

FIXED: dict[str, tuple[object, ...]] = {
    "time_cond_proj_dim": (None,), "class_embed_type": (None,), "encoder_hid_dim_type": (None,),
    "prediction_type": (None,),
}  # fmt: skip
"""Options of a UNet that its prediction would have to feed, with the values that need nothing."""

SAMPLERS = (
    "PNDMScheduler", "DDIMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler",
    "UniPCMultistepScheduler",
)  # fmt: skip


def read_unet(root: Path, index: Index, addition: str | None) -> Component:
    """The UNet of a directory, when nothing in its configuration asks for inputs that the nodes do not give.

    addition    what it embeds beside text and time: "text_time" for SDXL
    """
    unet = read_component(root, index, "unet", ("UNet2DConditionModel",))
    for option, values in (FIXED | {"addition_embed_type": (addition,)}).items():
        if (found := unet.config.get(option)) not in values:
            raise ModelError(f"{unet.directory}: {option} is {found!r}; supported: {values[0]!r}.")
    return unet


def sizes_of(unet: Component, space: LatentSpace) -> Sizes:
    """Sides come in multiples of the coarsest level's cell, so that every level halves exactly."""
    side = unet.get("sample_size", int) * space.over
    unit = space.over * 2 ** (len(unet.get("block_out_channels", list)) - 1)
    return Sizes((side, side), unit, MAX_SIDE)


def in_channels(unet: Component, space: LatentSpace) -> int:
    """The latents', or with mask and masked image beside them."""
    found, plain = unet.get("in_channels", int), space.channels
    if found not in (plain, 2 * plain + 1):
        raise ModelError(
            f"{unet.directory}: in_channels is {found}; supported: {plain}, or {2 * plain + 1} to inpaint."
        )
    return found


def check_fit(unet: Component, wanted: dict[str, int]) -> None:
    """The UNet must take what the other components give."""
    for key, value in wanted.items():
        if (found := unet.get(key, int)) != value:
            raise ModelError(f"{unet.directory}: {key} is {found}, but the other components give {value}.")


def read_controlnet(
    root: Path, variant: Variant, width: int, attrs: dict[str, Any], addition: str | None
) -> ControlNet:
    """The ControlNet in a directory of its own, for UNets whose text is `width` wide."""
    component = read_model(root, ("ControlNetModel",), variant)
    expected = {"cross_attention_dim": width, "addition_embed_type": addition, "global_pool_conditions": False}
    for option, value in expected.items():
        if (found := component.config.get(option, False if value is False else None)) != value:
            raise ModelError(f"{root}: {option} is {found!r}, but the base model needs {value!r}.")
    layout = ",".join(f"{r.port}:{r.channels}:{r.over}" for r in _residuals(component))
    return ControlNet(model_spec("controlnet", component), "unet.control", attrs | {"layout": layout})


def residuals(net: ControlNet) -> tuple[Residual, ...]:
    cells = (cell.split(":") for cell in str(net.attrs["layout"]).split(","))
    return tuple(Residual(port, int(channels), int(over)) for port, channels, over in cells)


def _residuals(component: Component) -> list[Residual]:
    """The first convolution, every layer and every halving of the way down, and the middle."""
    channels = [int(c) for c in component.get("block_out_channels", list)]
    layers = component.get("layers_per_block", int)
    found = [(channels[0], 1)]
    for level, width in enumerate(channels):
        found += [(width, 2**level)] * layers
        if level < len(channels) - 1:
            found.append((width, 2 ** (level + 1)))
    down = [Residual(f"down_{k}", width, over) for k, (width, over) in enumerate(found)]
    return [*down, Residual("mid", channels[-1], 2 ** (len(channels) - 1))]
