"""Stable Diffusion 3: joining the text embeddings, one transformer call, one ControlNet call.

source    diffusers StableDiffusion3Pipeline, StableDiffusion3ControlNetPipeline
"""

from typing import Any

import torch

from brickwork.models import lora
from brickwork.models.ops import Call, Op, Outputs
from brickwork.models.rows import control_scale, latent_rows, summed_controls, text_rows
from brickwork.models.sampler import timestep


def join(_model: None, calls: list[Call]) -> list[Outputs]:
    """The encoders' outputs -> embeds [1, clip + t5 tokens, width] and pooled [1, p1 + p2].

    The CLIP features stand side by side, zero-padded to T5's width; T5's tokens follow them, or zeros without a T5.
    """
    return [_join(**call.args, **call.attrs) for call in calls]


def _join(
    clip_1: torch.Tensor,
    pooled_1: torch.Tensor,
    clip_2: torch.Tensor,
    pooled_2: torch.Tensor,
    t5: torch.Tensor | None = None,
    tokens: int = 0,
    width: int = 0,
) -> Outputs:
    clips = torch.cat([clip_1, clip_2], dim=-1)
    if t5 is None:
        t5 = torch.zeros(1, tokens, width, dtype=clips.dtype)
    clips = torch.nn.functional.pad(clips, (0, t5.shape[-1] - clips.shape[-1]))
    return torch.cat([clips, t5], dim=-2), torch.cat([pooled_1, pooled_2], dim=-1)


def predict(transformer: Any, calls: list[Call]) -> list[Outputs]:
    """One denoising call for all requests -> velocity [rows, c, h, w] each, unconditional row first.

    A request takes two rows (negative, then positive prompt) when `rows` is 2, one otherwise. Requests may stand at
    different steps: the transformer takes a timestep per row.
    """
    rows = calls[0].args["rows"]
    residuals = [[r.flatten(1, 2) for r in summed_controls(call.args).values()] for call in calls]
    extra = {"block_controlnet_hidden_states": [torch.cat(c) for c in zip(*residuals, strict=True)]}
    with lora.applied(transformer, calls[0].attrs["lora"], [(call.args["adapters"], rows) for call in calls]):
        velocity = transformer(
            **_step_inputs(calls, rows),
            encoder_hidden_states=torch.cat([text_rows(call.args, "embeds", rows) for call in calls]),
            pooled_projections=torch.cat([text_rows(call.args, "pooled", rows) for call in calls]),
            **(extra if residuals[0] else {}),
            return_dict=False,
        )[0]
    return [(part.contiguous(),) for part in velocity.to(torch.float32).split(rows)]


def control(controlnet: Any, calls: list[Call]) -> list[Outputs]:
    """-> residuals [rows, h, w, width] for the transformer's blocks, scaled."""
    rows, zero_pooled = calls[0].args["rows"], calls[0].attrs["zero_pooled"]
    pooled = torch.cat([text_rows(call.args, "pooled", rows) for call in calls])
    has_text = controlnet.config.joint_attention_dim is not None
    embeds = torch.cat([text_rows(call.args, "embeds", rows) for call in calls]) if has_text else None
    blocks = controlnet(
        **_step_inputs(calls, rows),
        controlnet_cond=_strided(torch.cat([call.args["image"] for call in calls]), calls[0].attrs["channels_last"]),
        conditioning_scale=1.0,
        encoder_hidden_states=embeds,
        pooled_projections=torch.zeros_like(pooled) if zero_pooled else pooled,
        return_dict=False,
    )[0]
    parts = list(zip(*(block.split(rows) for block in blocks), strict=True))
    return [_scaled(call, part) for call, part in zip(calls, parts, strict=True)]


def _strided(image: torch.Tensor, channels_last: bool) -> torch.Tensor:
    """In the strides that the reference's autoencoder leaves: attention in its middle turns channels last."""
    return image.contiguous(memory_format=torch.channels_last) if channels_last else image


def _scaled(call: Call, blocks: tuple[torch.Tensor, ...]) -> Outputs:
    """Tokens back into their places in the picture, as the node's type says."""
    patch = call.attrs["patch"]
    height, width = (side // patch for side in call.args["latents"].shape[-2:])
    scale = control_scale(call)
    return tuple((block * scale).reshape(block.shape[0], height, width, -1).contiguous() for block in blocks)


def _step_inputs(calls: list[Call], rows: int) -> dict[str, Any]:
    times = [timestep(c.attrs["sampler"], c.args["steps"], c.args["latents"], c.args["i"]).expand(rows) for c in calls]
    latents = [latent_rows(call.args, rows) for call in calls]
    return {"hidden_states": torch.cat(latents), "timestep": torch.cat(times)}


OPS: dict[str, Op] = {
    "sd3.join": join,
    "sd3.predict": predict,
    "sd3.control": control,
}
