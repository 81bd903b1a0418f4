"""A picture through an upscaler, in one piece. One picture a forward: convolutions gain nothing from a batch."""

from typing import Any

import torch

from brickwork.models.ops import Call, Op, Outputs


def image(model: Any, calls: list[Call]) -> list[Outputs]:
    """image [1, H, W, 3] uint8 -> [1, times * H, times * W, 3] uint8."""
    return [(_larger(model, call.args["image"], call.attrs["times"]),) for call in calls]


def _larger(model: Any, image: torch.Tensor, times: int) -> torch.Tensor:
    """Sides are filled up to whole windows by reflection, as the model's image processor does, and cut afterwards."""
    height, width = image.shape[1:3]
    window = model.config.window_size
    pixels = image.to(torch.float32).div(255.0).permute(0, 3, 1, 2)
    right, below = (window - width % window) % window, (window - height % window) % window
    filled = torch.nn.functional.pad(pixels, (0, right, 0, below), mode="reflect").contiguous()
    larger = model(pixel_values=filled).reconstruction.to(torch.float32)[:, :, : height * times, : width * times]
    return (larger.clamp(0, 1).permute(0, 2, 3, 1) * 255).round().to(torch.uint8).contiguous()


OPS: dict[str, Op] = {"upscale.image": image}
