"""Flow-match Euler as pure functions of (steps, index), and classifier-free guidance.

The sigma table is a function of (steps, shift) and is computed by the reference class; its *step* is not used, since
that object counts steps and so must not be shared between requests.

source    diffusers FlowMatchEulerDiscreteScheduler.set_timesteps, .step, .scale_noise
"""

from functools import lru_cache

import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from brickwork.models.ops import Call, Op, Outputs, each


@lru_cache(maxsize=256)
def schedule(steps: int, shift: float, num_train_timesteps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(sigmas [steps + 1], timesteps [steps]), float32. Treat as read-only: the tables are shared."""
    table = FlowMatchEulerDiscreteScheduler(shift=shift, num_train_timesteps=num_train_timesteps)
    table.set_timesteps(steps)
    return table.sigmas, table.timesteps


def euler(
    latents: torch.Tensor, velocity: torch.Tensor, i: int, steps: int, shift: float, num_train_timesteps: int
) -> torch.Tensor:
    """One step: latents + (sigma[i + 1] - sigma[i]) * velocity, [1, channels, h, w], computed in float32."""
    sigmas, _ = schedule(steps, shift, num_train_timesteps)
    return (latents.to(torch.float32) + (sigmas[i + 1] - sigmas[i]) * velocity).to(velocity.dtype)


def add_noise(
    sample: torch.Tensor, noise: torch.Tensor, i: int, steps: int, shift: float, num_train_timesteps: int
) -> torch.Tensor:
    """The sample at step `i` of the schedule: sigma[i] * noise + (1 - sigma[i]) * sample."""
    sigmas, _ = schedule(steps, shift, num_train_timesteps)
    sigma = sigmas[i].reshape(1, 1, 1, 1)
    return sigma * noise + (1.0 - sigma) * sample


def guide(velocity: torch.Tensor, guidance: float, rows: int) -> torch.Tensor:
    """[rows, channels, h, w] -> [1, ...]: unconditional + guidance * (conditional - unconditional), or itself."""
    if rows == 1:
        return velocity
    unconditional, conditional = velocity.chunk(2)
    return unconditional + guidance * (conditional - unconditional)


def _euler(_model: None, calls: list[Call]) -> list[Outputs]:
    return each(euler, calls)


def _guide(_model: None, calls: list[Call]) -> list[Outputs]:
    return each(guide, calls)


OPS: dict[str, Op] = {"sampler.euler": _euler, "guide.cfg": _guide}
