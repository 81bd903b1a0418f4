"""SDXL's texts: two encoders side by side, or zeros for a negative text that nobody gave.

source    diffusers StableDiffusionXLPipeline.encode_prompt
"""

import torch

from brickwork.models.ops import Call, Op, Outputs


def join(_model: None, calls: list[Call]) -> list[Outputs]:
    """-> embeds [1, tokens, w1 + w2], pooled [1, projection] of the second encoder."""
    return [_join(**call.args) for call in calls]


def _join(clip_2: torch.Tensor, pooled: torch.Tensor, clip_1: torch.Tensor | None = None) -> Outputs:
    return clip_2 if clip_1 is None else torch.cat([clip_1, clip_2], dim=-1), pooled


def empty(_model: None, calls: list[Call]) -> list[Outputs]:
    """-> zeros in the shapes of `join`'s outputs."""
    return [_empty(**call.attrs) for call in calls]


def _empty(tokens: int, width: int, pooled: int, dtype: str, pooled_dtype: str) -> Outputs:
    embeds = torch.zeros(1, tokens, width, dtype=getattr(torch, dtype))
    return embeds, torch.zeros(1, pooled, dtype=getattr(torch, pooled_dtype))


OPS: dict[str, Op] = {"sdxl.join": join, "sdxl.empty": empty}
