"""The rows of one request in a model call: its latents and texts, once or (guided) twice, negative text first."""

from typing import Any

import torch

from brickwork.models.ops import Call
from brickwork.models.sampler import schedule_of


def latent_rows(args: dict[str, Any], rows: int) -> torch.Tensor:
    """[rows, c, h, w]: the same latents in every row."""
    return torch.cat([args["latents"]] * rows)


def text_rows(args: dict[str, Any], port: str, rows: int) -> torch.Tensor:
    """[rows, ...] of a text's part."""
    return torch.cat([args[f"negative_{port}"], args[port]]) if rows == 2 else args[port]


def summed_controls(args: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The residuals of all ControlNets by port, added in their order."""
    total: dict[str, torch.Tensor] = {}
    for name, value in args.items():
        if name.startswith("control"):
            port = name.partition("_")[2]
            total[port] = total[port] + value if port in total else value
    return total


def control_scale(call: Call) -> float:
    """How strongly a ControlNet acts at this step: its scale inside of begin..end (shares of the steps), 0 outside."""
    args = call.args
    i, count = args["i"], len(schedule_of(call.attrs["sampler"], args["steps"], args["latents"]).timesteps)
    count -= args.get("start", 0)
    i -= args.get("start", 0)
    is_off = i / count < args["begin"] or (i + 1) / count > args["end"]
    return float(args["scale"] * (1.0 - float(is_off)))
