"""The UNet of SD1.5 and SDXL, and its ControlNets: one call for the rows of all requests of a batch.

source    diffusers StableDiffusionPipeline, StableDiffusionXLPipeline, their ControlNet and Inpaint variants
"""

from typing import Any

import torch

from brickwork.models import lora
from brickwork.models.ops import Call, Op, Outputs
from brickwork.models.rows import control_scale, latent_rows, summed_controls, text_rows
from brickwork.models.sampler import scaled_input, timestep


def predict(unet: Any, calls: list[Call]) -> list[Outputs]:
    """-> velocity [rows, c, h, w] each, unconditional row first."""
    rows = calls[0].args["rows"]
    inputs = [_with_mask(_scaled(call, rows), call.args, rows) for call in calls]
    residuals = [list(summed_controls(call.args).values()) for call in calls]
    extra: dict[str, Any] = {}
    if residuals[0]:
        *down, mid = (torch.cat(column) for column in zip(*residuals, strict=True))
        extra = {"down_block_additional_residuals": down, "mid_block_additional_residual": mid}
    with lora.applied(unet, calls[0].attrs["lora"], [(call.args["adapters"], rows) for call in calls]):
        velocity = unet(
            torch.cat(inputs), timestep=_times(calls, rows), **_conditions(calls, rows), **extra, return_dict=False
        )[0]
    return [(part.contiguous(),) for part in velocity.to(torch.float32).split(rows)]


def control(controlnet: Any, calls: list[Call]) -> list[Outputs]:
    """-> residuals, each [rows, channels, h, w] scaled: the way down, then the middle."""
    rows = calls[0].args["rows"]
    down, mid = controlnet(
        torch.cat([_scaled(call, rows) for call in calls]),
        timestep=_times(calls, rows),
        controlnet_cond=torch.cat([_unit_pixels(call.args["image"], rows) for call in calls]),
        conditioning_scale=1.0,
        **_conditions(calls, rows),
        return_dict=False,
    )
    parts = zip(*(tensor.split(rows) for tensor in (*down, mid)), strict=True)
    scales = [control_scale(call) for call in calls]
    return [tuple((r * scale).contiguous() for r in part) for part, scale in zip(parts, scales, strict=True)]


def _scaled(call: Call, rows: int) -> torch.Tensor:
    """The latents as the UNet takes them, in the strides that the reference has (image/images.py, is_from_picture)."""
    args = call.args
    latents = scaled_input(call.attrs["sampler"], args["steps"], latent_rows(args, rows), args["i"])
    return latents.contiguous(memory_format=torch.channels_last) if call.attrs.get("channels_last") else latents


def _with_mask(latents: torch.Tensor, args: dict[str, Any], rows: int) -> torch.Tensor:
    """Beside mask and masked image, where the UNet was trained to see them."""
    if "masked" not in args:
        return latents
    return torch.cat([latents, torch.cat([args["mask"]] * rows), torch.cat([args["masked"]] * rows)], dim=1)


def _times(calls: list[Call], rows: int) -> torch.Tensor:
    """The timestep of every row [rows of all calls]."""
    times = [timestep(c.attrs["sampler"], c.args["steps"], c.args["latents"], c.args["i"]).expand(rows) for c in calls]
    return torch.cat(times)


def _conditions(calls: list[Call], rows: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "encoder_hidden_states": torch.cat([text_rows(call.args, "embeds", rows) for call in calls])
    }
    if "pooled" in calls[0].args:
        found["added_cond_kwargs"] = {
            "text_embeds": torch.cat([text_rows(call.args, "pooled", rows) for call in calls]),
            "time_ids": torch.cat([_time_ids(call, rows) for call in calls]),
        }
    return found


def _time_ids(call: Call, rows: int) -> torch.Tensor:
    """[rows, 6]: original size, crop, target size; for a refiner [rows, 5], a score of beauty instead of the target."""
    over = call.attrs["over"]
    height, width = (side * over for side in call.args["latents"].shape[-2:])
    if "score" in call.attrs:
        beauty = [call.attrs["negative_score"], call.attrs["score"]][2 - rows :]
        return torch.tensor([[height, width, 0, 0, value] for value in beauty], dtype=torch.float32)
    return torch.tensor([[height, width, 0, 0, height, width]] * rows, dtype=torch.float32)


def _unit_pixels(image: torch.Tensor, rows: int) -> torch.Tensor:
    """image [1, H, W, 3] uint8 -> [rows, 3, H, W] float32 in 0..1."""
    return torch.cat([(image.to(torch.float32) / 255.0).permute(0, 3, 1, 2).contiguous()] * rows)


OPS: dict[str, Op] = {"unet.predict": predict, "unet.control": control}
