"""Sampler math: the library's schedulers as pure functions of (latents, prediction, place in the schedule, history).

A library scheduler is an object that counts steps and remembers predictions, so one object cannot serve two requests,
nor a request that moves to another process. Here the schedule (sigmas, timesteps) is made once per (sampler, steps)
and shared; before every step a shallow copy of it is told where it stands and given what it would remember, and after
the step that is read back as one tensor, `history` [k, ...]. The step itself is the library's, and so are its bits.

Why: docs/adr/0018-schedulers-step-with-carried-state.md.

source    diffusers schedulers: PNDM (PLMS), DDIM, Euler, DPM-Solver++ multistep, UniPC, flow-match Euler
"""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import diffusers
import numpy as np
import torch

from brickwork.models.ops import Call, Op, Outputs


@lru_cache(maxsize=512)
def _schedule(sampler: str, steps: int, tokens: int) -> Any:
    """A scheduler with its tables for `steps`. Never step it: take `at`."""
    declared = json.loads(sampler)
    scheduler = getattr(diffusers, declared["class"]).from_config(declared["options"])
    extra: dict[str, Any] = {}
    if declared.get("linear_sigmas"):
        extra["sigmas"] = np.linspace(1.0, 1 / steps, steps)
    if scheduler.config.get("use_dynamic_shifting"):
        extra["mu"] = _shift(tokens, scheduler.config)
    if extra:
        scheduler.set_timesteps(
            device="cpu", **({"num_inference_steps": steps} if "sigmas" not in extra else {}), **extra
        )
    else:
        scheduler.set_timesteps(steps, device="cpu")
    return scheduler


def _shift(tokens: int, config: Any) -> float:
    """mu of resolution-dependent shifting: a straight line over the number of image tokens."""
    few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    slope = (high - low) / (many - few)
    return float(tokens * slope + (low - slope * few))


def schedule_of(sampler: str, steps: int, latents: torch.Tensor) -> Any:
    """The schedule for latents [1, c, ..., h, w]: read its tables, but do not step it."""
    patch = json.loads(sampler).get("shift_patch", 0)
    tokens = prod(side // patch for side in latents.shape[-2:]) * prod(latents.shape[2:-2]) if patch else 0
    return _schedule(sampler, steps, tokens)


def at(sampler: str, steps: int, latents: torch.Tensor, i: int) -> Any:
    """A scheduler of its own that stands at step `i`; it shares the tables."""
    scheduler = copy.copy(schedule_of(sampler, steps, latents))
    if hasattr(scheduler, "_step_index"):
        scheduler._step_index = scheduler._begin_index = i
    scheduler.is_scale_input_called = True
    return scheduler


def timestep(sampler: str, steps: int, latents: torch.Tensor, i: int) -> torch.Tensor:
    """The timestep of step `i`, a scalar tensor in the schedule's own dtype."""
    return schedule_of(sampler, steps, latents).timesteps[i]


def scaled_input(sampler: str, steps: int, latents: torch.Tensor, i: int) -> torch.Tensor:
    """Latents as the model takes them at step `i` (Euler divides by sqrt(sigma^2 + 1))."""
    scheduler = at(sampler, steps, latents, i)
    if not hasattr(scheduler, "scale_model_input"):
        return latents
    return scheduler.scale_model_input(latents, scheduler.timesteps[i])


def noised(sampler: str, steps: int, sample: torch.Tensor, noise: torch.Tensor, i: int) -> torch.Tensor:
    """The sample with as much noise as step `i` begins with."""
    scheduler = at(sampler, steps, sample, i)
    when = scheduler.timesteps[i : i + 1]
    if hasattr(scheduler, "scale_noise"):
        return scheduler.scale_noise(sample, when, noise)
    return scheduler.add_noise(sample, noise, when)


# ------------------------------------------------------------------------------------------ what steps remember


@dataclass(frozen=True)
class _Memory:
    """How a scheduler's memory before its `k`-th step (from 0) is put in, and read back after it."""

    put: Callable[[Any, list[torch.Tensor], int], None]
    read: Callable[[Any], list[torch.Tensor | None]]


def _put_pndm(scheduler: Any, history: list[torch.Tensor], k: int) -> None:
    """Last three predictions, then the sample at which the first of two equal timesteps began."""
    scheduler.counter = k
    known = 0 if k == 0 else min(3, max(1, k - 1))
    scheduler.ets = history[3 - known : 3]
    scheduler.cur_sample = history[3] if k == 1 else None


def _read_pndm(scheduler: Any) -> list[torch.Tensor | None]:
    last = scheduler.ets[-3:]
    return [*([None] * (3 - len(last))), *last, scheduler.cur_sample]


def _put_dpm(scheduler: Any, history: list[torch.Tensor], k: int) -> None:
    order = scheduler.config.solver_order
    known = min(k, order - 1)
    scheduler.model_outputs = [*([None] * (order - known)), *history[len(history) - known :]]
    scheduler.lower_order_nums = min(k, order)


def _read_dpm(scheduler: Any) -> list[torch.Tensor | None]:
    return list(scheduler.model_outputs[1:])


def _put_unipc(scheduler: Any, history: list[torch.Tensor], k: int) -> None:
    """Last `order` converted predictions, then the last sample."""
    order, i = scheduler.config.solver_order, scheduler._step_index
    known = min(k, order)
    scheduler.model_outputs = [*([None] * (order - known)), *history[order - known : order]]
    times = list(scheduler.timesteps[i - known : i])
    scheduler.timestep_list = [*([None] * (order - known)), *times]
    scheduler.last_sample = history[order] if k else None
    scheduler.lower_order_nums = known
    scheduler.this_order = _unipc_order(scheduler, i - 1, k - 1)


def _unipc_order(scheduler: Any, i: int, k: int) -> int:
    """The order of the step at `i`, the `k`-th that was taken."""
    order = scheduler.config.solver_order
    left = len(scheduler.timesteps) - i if scheduler.config.lower_order_final else order
    return min(order, left, k + 1)


def _read_unipc(scheduler: Any) -> list[torch.Tensor | None]:
    return [*scheduler.model_outputs, scheduler.last_sample]


_MEMORY = {
    "PNDMScheduler": _Memory(_put_pndm, _read_pndm),
    "DPMSolverMultistepScheduler": _Memory(_put_dpm, _read_dpm),
    "UniPCMultistepScheduler": _Memory(_put_unipc, _read_unipc),
}


def step(
    latents: torch.Tensor,
    velocity: torch.Tensor,
    i: int,
    steps: int,
    sampler: str,
    start: int = 0,
    history: torch.Tensor | None = None,
) -> Outputs:
    """One step from `i`: latents [1, ...], and the history [k, ...] where the sampler has one.

    start     the step at which this request began (image-to-image begins later than 0)
    """
    scheduler = at(sampler, steps, latents, i)
    memory = _MEMORY.get(type(scheduler).__name__) if history is not None else None
    if memory is not None and history is not None:
        memory.put(scheduler, list(history.split(1)), i - start)
    latents = scheduler.step(velocity, scheduler.timesteps[i], latents, return_dict=False)[0]
    if memory is None:
        return (latents.contiguous(),)
    remembered = [torch.zeros_like(latents) if kept is None else kept for kept in memory.read(scheduler)]
    return latents.contiguous(), torch.cat(remembered)


def guide(velocity: torch.Tensor, guidance: float, rows: int) -> torch.Tensor:
    """[rows, channels, h, w] -> [1, ...]: unconditional + guidance * (conditional - unconditional), or itself."""
    if rows == 1:
        return velocity
    unconditional, conditional = velocity.chunk(2)
    return unconditional + guidance * (conditional - unconditional)


def begin(noise: torch.Tensor, steps: int, sampler: str) -> torch.Tensor:
    """Pure noise as the first step takes it: multiplied by the largest sigma."""
    return noise * schedule_of(sampler, steps, noise).init_noise_sigma


def _step(_model: None, calls: list[Call]) -> list[Outputs]:
    return [step(**call.args, **call.attrs) for call in calls]


def _guide(_model: None, calls: list[Call]) -> list[Outputs]:
    return [(guide(**call.args),) for call in calls]


def _begin(_model: None, calls: list[Call]) -> list[Outputs]:
    return [(begin(**call.args, **call.attrs),) for call in calls]


def _history(_model: None, calls: list[Call]) -> list[Outputs]:
    """A history of zeros [tensors, ...] in the shape of latents [1, ...]: nothing has happened yet."""
    shapes = ((call.attrs["tensors"], call.args["latents"]) for call in calls)
    return [(torch.zeros((count, *latents.shape[1:]), dtype=latents.dtype),) for count, latents in shapes]


OPS: dict[str, Op] = {"sampler.step": _step, "sampler.begin": _begin, "sampler.history": _history, "guide.cfg": _guide}
