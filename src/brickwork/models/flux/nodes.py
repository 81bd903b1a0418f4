"""Flux: one call of the transformer or a ControlNet for all requests of a batch. Latents are packed on entry, 2 x 2 to
a token, and unpacked on leaving, so that everything around sees pictures.

source    diffusers FluxPipeline, FluxControlNetPipeline
"""

from typing import Any

import torch

from brickwork.models import lora
from brickwork.models.ops import Call, Op, Outputs
from brickwork.models.packing import pack, unpack
from brickwork.models.rows import control_scale, summed_controls
from brickwork.models.sampler import timestep


def predict(transformer: Any, calls: list[Call]) -> list[Outputs]:
    """-> velocity [rows, c, h, w] each, unconditional row first; each row of a request is a call of its own."""
    rows = calls[0].args["rows"]
    residuals = [summed_controls(call.args) for call in calls]
    names = {"double": "controlnet_block_samples", "single": "controlnet_single_block_samples"}
    extra = {}
    for kind, name in names.items():
        ports = [port for port in residuals[0] if port.startswith(kind)]
        extra[name] = [torch.cat([found[port].flatten(1, 2) for found in residuals]) for port in ports] or None
    with lora.applied(transformer, calls[0].attrs["lora"], [(call.args["adapters"], 1) for call in calls]):
        asked = [_ask(transformer, calls, prefix, extra) for prefix in ("negative_", "")[2 - rows :]]
    return [(torch.cat(parts),) for parts in zip(*asked, strict=True)]


def _ask(transformer: Any, calls: list[Call], prefix: str, residuals: dict[str, Any]) -> list[torch.Tensor]:
    """The prediction for one text of every request."""
    tokens = transformer(**_inputs(transformer, calls, prefix), **residuals, return_dict=False)[0]
    height, width = calls[0].args["latents"].shape[-2:]
    return [unpack(part, height, width) for part in tokens.to(torch.float32).split(1)]


def control(controlnet: Any, calls: list[Call]) -> list[Outputs]:
    """-> residuals [1, h, w, width], scaled: for double blocks, then for single ones."""
    double, single = controlnet(
        **_inputs(controlnet, calls),
        controlnet_cond=torch.cat([pack(call.args["image"]) for call in calls]),
        conditioning_scale=1.0,
        return_dict=False,
    )
    blocks = [*(double or ()), *(single or ())]
    return [_scaled(call, [block[k : k + 1] for block in blocks]) for k, call in enumerate(calls)]


def _scaled(call: Call, blocks: list[torch.Tensor]) -> Outputs:
    height, width = (side // 2 for side in call.args["latents"].shape[-2:])
    scale = control_scale(call)
    return tuple((block * scale).reshape(1, height, width, -1).contiguous() for block in blocks)


def _inputs(model: Any, calls: list[Call], prefix: str = "") -> dict[str, Any]:
    times = [timestep(c.attrs["sampler"], c.args["steps"], c.args["latents"], c.args["i"]).expand(1) for c in calls]
    guidance = torch.tensor([call.args["guidance"] for call in calls], dtype=torch.float32)
    embeds = torch.cat([call.args[f"{prefix}embeds"] for call in calls])
    return {
        "hidden_states": torch.cat([pack(call.args["latents"]) for call in calls]),
        "timestep": torch.cat(times) / 1000,
        "guidance": guidance if model.config.guidance_embeds else None,
        "pooled_projections": torch.cat([call.args[f"{prefix}pooled"] for call in calls]),
        "encoder_hidden_states": embeds,
        "txt_ids": torch.zeros(embeds.shape[1], 3),
        "img_ids": _places(*calls[0].args["latents"].shape[-2:]),
    }


def _places(height: int, width: int) -> torch.Tensor:
    """Row and column of every token [tokens, 3]."""
    places = torch.zeros(height // 2, width // 2, 3)
    places[..., 1] += torch.arange(height // 2)[:, None]
    places[..., 2] += torch.arange(width // 2)[None, :]
    return places.reshape(-1, 3)


OPS: dict[str, Op] = {"flux.predict": predict, "flux.control": control}
