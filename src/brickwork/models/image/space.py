"""The latent space of a directory: its autoencoder, how latents are scaled, which sizes are possible."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from brickwork.core.errors import ModelError
from brickwork.core.model import ModelSpec
from brickwork.core.request import Scalar
from brickwork.graph.types import Dim, Type
from brickwork.workflow.components import Index, read_component
from brickwork.workflow.family import Border
from brickwork.workflow.identity import model_spec
from brickwork.workflow.lines import mistake

MAX_SIDE = 8192
"""Pixels of a side, where the model itself sets no limit."""


@dataclass(frozen=True)
class LatentSpace:
    """Latents [1, channels, height / over, width / over]."""

    vae: ModelSpec
    channels: int
    over: int  # pixels per latent, each side
    scaling_factor: float
    shift_factor: float
    turns_channels_last: bool = False  # strides of what it encodes
    mean: tuple[float, ...] = ()  # of each channel, with its deviation, in place of the two factors
    deviation: tuple[float, ...] = ()

    @property
    def attrs(self) -> dict[str, Scalar]:
        """How latents are scaled: attributes of the nodes that enter or leave the space."""
        if self.mean:
            return {"mean": json.dumps(self.mean), "deviation": json.dumps(self.deviation)}
        return {"scaling_factor": self.scaling_factor, "shift_factor": self.shift_factor}

    def latent(self, *sides: int | Dim) -> Type:
        return Type("latent", self.vae.id, "float32", (1, self.channels, *sides))

    def divided(self, label: str, axis: int | Dim) -> int | Dim:
        """A side in pixels, as latents."""
        over = self.over
        if isinstance(axis, Dim):
            times, over = (axis.times, over) if axis.times % over else (axis.times // over, 1)
            return Dim(axis.scalar, times, axis.over * over)
        if axis % over:
            raise mistake(f"{label}: a side of {axis} px is no multiple of {over}")
        return axis // over

    def multiplied(self, axis: int | Dim) -> int | Dim:
        """A side in latents, as pixels. Exact, since sides in pixels are multiples of `over`."""
        if isinstance(axis, int):
            return axis * self.over
        pixels = axis.times * self.over
        return Dim(axis.scalar, pixels // axis.over) if pixels % axis.over == 0 else axis


def read_space(root: Path, index: Index) -> LatentSpace:
    """The space of an AutoencoderKL."""
    vae = read_component(root, index, "vae", ("AutoencoderKL",))
    if vae.variant.precision == "fp16" and vae.config.get("force_upcast"):
        vae = replace(vae, variant=replace(vae.variant, precision="fp32"))  # it overflows, as its maker says
    shift = vae.config.get("shift_factor")
    if (mean := vae.config.get("latents_mean")) is not None:
        raise ModelError(f"{vae.directory}: latents_mean is {mean!r}; supported: none.")
    return LatentSpace(
        vae=model_spec("vae", vae),
        channels=vae.get("latent_channels", int),
        over=2 ** (len(vae.get("block_out_channels", list)) - 1),
        scaling_factor=vae.get("scaling_factor", float),
        shift_factor=0.0 if shift is None else vae.get("shift_factor", float),
        turns_channels_last=bool(vae.config.get("mid_block_add_attention", True)),
    )


@dataclass(frozen=True)
class Sizes:
    """Which pictures a family draws, in pixels."""

    native: tuple[int, int]  # (height, width)
    multiple_of: int
    max_side: int


def check_border(root: Path, border: Border, sizes: Sizes) -> None:
    """Raise ModelError when the directory's brickwork.json declares sizes that the model can't draw."""
    for size in border.sizes:
        if any(side % sizes.multiple_of or side > sizes.max_side for side in size):
            raise ModelError(
                f"{root / 'brickwork.json'}: size {list(size)} is impossible; sides are multiples of "
                f"{sizes.multiple_of} up to {sizes.max_side}."
            )
