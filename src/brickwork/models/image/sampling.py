"""Which sampler a directory names, and what it costs a loop: how many calls, and how many tensors it remembers.

The arithmetic is the library's (`models/sampler.py`); what it would remember between steps in an object travels here
as a carry of the loop, so that a request may leave after any step and go on elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.core.request import Scalar
from brickwork.graph.types import Type
from brickwork.workflow.components import Component, Index, read_component
from brickwork.workflow.identity import plain_config
from brickwork.workflow.lines import mistake
from brickwork.workflow.trace import Value, arithmetic, constant, emit


@dataclass(frozen=True)
class _Kind:
    """What the graph must know of a sampler class. Refused: anything that draws noise while it steps."""

    allowed: Mapping[str, tuple[object, ...]] = field(default_factory=dict)  # option -> values that are supported
    history: Callable[[Mapping[str, Any]], int] = lambda config: 0  # latents-sized tensors it remembers
    scales_noise: bool = False  # pure noise is multiplied by the largest sigma
    repeats_second: bool = False  # it calls the model once more than it has steps


def _order(config: Mapping[str, Any]) -> int:
    return int(config.get("solver_order", 2))


_DPM = ("dpmsolver++", "dpmsolver")
KINDS: Mapping[str, _Kind] = {
    "PNDMScheduler": _Kind({"skip_prk_steps": (True,)}, lambda config: 4, repeats_second=True),
    "DDIMScheduler": _Kind(),
    "EulerDiscreteScheduler": _Kind({"use_beta_sigmas": (False, None)}, scales_noise=True),
    "DPMSolverMultistepScheduler": _Kind(
        {"algorithm_type": _DPM, "use_beta_sigmas": (False, None), "use_lu_lambdas": (False, None)},
        lambda config: _order(config) - 1,
    ),
    "UniPCMultistepScheduler": _Kind(
        {"solver_p": (None,), "use_beta_sigmas": (False, None)}, lambda config: _order(config) + 1
    ),
    "FlowMatchEulerDiscreteScheduler": _Kind({"stochastic_sampling": (False, None), "use_beta_sigmas": (False, None)}),
}


@dataclass(frozen=True)
class Sampler:
    """The sampler of a family, as its nodes know it."""

    text: str  # class, options and what the family adds: an attribute of every node that needs the schedule
    history: int
    max_steps: int
    scales_noise: bool
    repeats_second: bool

    @property
    def attrs(self) -> dict[str, Scalar]:
        return {"sampler": self.text}

    def trips(self, steps: Value) -> Value:
        """Calls of the model: mostly one a step."""
        return steps + arithmetic("scalar.int", steps > 1) if self.repeats_second else steps

    def switch(self, steps: Value, share: float) -> Value:
        """The step at which one model hands over to another, after `share` of the noise is gone.

        The schedule must be evenly spaced from its end ("leading"), so that integers alone decide it.
        """
        options = json.loads(self.text)["options"]
        if options.get("timestep_spacing", "linspace") != "leading" or options.get("use_karras_sigmas"):
            raise mistake("switch: needs a sampler with timestep_spacing leading, and without Karras sigmas")
        over = round(self.max_steps - share * self.max_steps) - int(options.get("steps_offset", 0))
        if not 0.0 < share < 1.0 or over < 1:
            raise mistake(f"switch: expected a share of the steps between 0 and 1, got {share}")
        gap = arithmetic("scalar.floordiv", constant(self.max_steps), steps)
        return steps - arithmetic("scalar.floordiv", gap + (over - 1), gap)

    def begin(self, noise: Value, steps: Value) -> Value:
        """Pure noise as the first step takes it."""
        if not self.scales_noise:
            return noise
        inputs = {"noise": noise, "steps": steps}
        return emit("sampler.begin", inputs, {"latents": noise.type}, attrs=self.attrs)["latents"]

    def remember(self, latents: Value) -> dict[str, Value]:
        """The carry for what it remembers; empty when that is nothing."""
        if not self.history:
            return {}
        count, *rest = latents.type.shape
        assert count == 1
        history = Type("history", latents.type.of, latents.type.dtype, (self.history, *rest))
        made = emit("sampler.history", {"latents": latents}, {"history": history}, attrs={"tensors": self.history})
        return {"history": made["history"]}

    def step(self, carry: Mapping[str, Value], velocity: Value, at: Mapping[str, Value]) -> dict[str, Value]:
        """One step: the carry of the next trip.

        at        where the loop stands: `i`, and for samplers with a history `start`; `steps` of the schedule
        """
        inputs = {"latents": carry["latents"], "velocity": velocity, **at}
        if self.history:
            inputs["history"] = carry["history"]
        outputs = {name: value.type for name, value in carry.items()}
        return emit("sampler.step", inputs, outputs, attrs=self.attrs)


def read_sampler(root: Path, index: Index, classes: tuple[str, ...], **extra: Scalar) -> Sampler:
    """The sampler that the directory names, when it is one of `classes` with options that are supported.

    extra     what the family does beside it: linear_sigmas, shift_patch
    """
    component = read_component(root, index, "scheduler", classes)
    kind = KINDS[component.class_name]
    for option, values in kind.allowed.items():
        found = component.config.get(option, values[0])
        if found not in values:
            shown = " or ".join(repr(value) for value in values if value is not None)
            raise ModelError(f"{component.directory}: {option} is {found!r}; supported: {shown}.")
    return Sampler(
        text=json.dumps({"class": component.class_name, "options": plain_config(component.config), **extra}),
        history=kind.history(component.config),
        max_steps=_train_steps(component),
        scales_noise=kind.scales_noise,
        repeats_second=kind.repeats_second,
    )


def _train_steps(component: Component) -> int:
    steps = component.config.get("num_train_timesteps", 1000)
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= 100_000:
        raise ModelError(f"{component.directory}: num_train_timesteps is {steps!r}; expected 1 to 100,000.")
    return steps


def whole_start(steps: Value, strength: Value) -> Value:
    """The step at which image-to-image begins: n - min(int(n * strength), n), as SD1.5 and SDXL compute it."""
    kept = arithmetic("scalar.floor", arithmetic("scalar.float", steps) * strength)
    return arithmetic("scalar.max", steps - arithmetic("scalar.min", kept, steps), constant(0))


def fractional_start(steps: Value, strength: Value) -> Value:
    """The same as SD3, Flux and Qwen-Image compute it: int(max(n - min(n * strength, n), 0))."""
    total = arithmetic("scalar.float", steps)
    kept = arithmetic("scalar.min", total * strength, total)
    return arithmetic("scalar.floor", arithmetic("scalar.max", total - kept, 0.0))
