"""Initial noise. Every request has a generator of its own, so its noise is the same in any batch and place."""

import torch

from brickwork.models.ops import Call, Op, Outputs


def gaussian(_model: None, calls: list[Call]) -> list[Outputs]:
    """seed, height, width -> latents [1, channels, height / over, width / over] float32, standard normal.

    `after` samples of this shape are drawn and dropped first: the reference drew them for something else.
    """
    return [(_draw(call),) for call in calls]


def _draw(call: Call) -> torch.Tensor:
    channels, over = int(call.attrs["channels"]), int(call.attrs["over"])
    shape = (1, channels, call.args["height"] // over, call.args["width"] // over)
    generator = torch.Generator("cpu").manual_seed(call.args["seed"])
    for _ in range(call.attrs.get("after", 0)):
        torch.randn(shape, generator=generator, dtype=torch.float32)
    return torch.randn(shape, generator=generator, dtype=torch.float32)


def clip(_model: None, calls: list[Call]) -> list[Outputs]:
    """seed, height, width, frames of latents -> latents [1, channels, frames, height / over, width / over] float32."""
    return [(_clip(**call.args, **call.attrs),) for call in calls]


def _clip(seed: int, frames: int, height: int, width: int, channels: int, over: int) -> torch.Tensor:
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn((1, channels, frames, height // over, width // over), generator=generator)


OPS: dict[str, Op] = {"noise.gaussian": gaussian, "noise.clip": clip}
