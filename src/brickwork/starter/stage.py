"""One stage of training: a step repeated until its seconds are used; saved often, resumable, stoppable.

The budget counts seconds of work over all resumes, and the learning rate follows the share of the budget
that is used, so a stage always ends with its decay done, however fast the machine is.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from brickwork.starter import checkpoint

SAVE_EVERY_S = 60.0
SAY_EVERY_S = 10.0


class Stopped(Exception):
    """Ctrl-C or SIGTERM: the checkpoint is written; run again with --resume."""


class StopFlag:
    """Turns SIGINT and SIGTERM into a flag that is read between steps; a second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self.raised = False

    def install(self) -> StopFlag:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._raise)
        return self

    def _raise(self, number: int, frame: object) -> None:
        self.raised = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class Stage:
    """What is trained and how one step is done.

    step(index, share)  does one optimizer step; `share` 0..1 of the budget is used; returns numbers to report
    probe()             measures quality now (for the log and the report)
    average             running averages of the network's tensors, saved with it and updated in place
    saved()             called after every save
    """

    name: str
    network: nn.Module
    optimizer: torch.optim.Optimizer
    step: Callable[[int, float], dict[str, float]]
    probe: Callable[[], dict[str, float]]
    average: dict[str, torch.Tensor] = field(default_factory=dict)
    saved: Callable[[], None] = lambda: None
    probe_every_s: float = 120.0
    steps: int = 0
    used_s: float = 0.0
    losses: list[tuple[int, float]] = field(default_factory=list)


def run(stage: Stage, budget_s: float, folder: Path, stop: StopFlag, resume: bool) -> dict[str, Any]:
    """Train until the budget is used; returns the stage's report. Raises Stopped after a saved Ctrl-C."""
    path = folder / f"{stage.name}.safetensors"
    if resume:
        _restore(stage, path)
    clock = _Clock(stage, budget_s)
    totals: dict[str, float] = {}
    while stage.used_s < budget_s or stage.steps == 0:
        numbers = stage.step(stage.steps, min(stage.used_s / budget_s, 1.0))
        stage.steps += 1
        clock.tick()
        totals = {name: 0.98 * totals.get(name, new) + 0.02 * new for name, new in numbers.items()}
        if clock.due("say", SAY_EVERY_S):
            stage.losses.append((stage.steps, round(totals["loss"], 5)))
            clock.say(totals)
        if clock.due("probe", stage.probe_every_s):
            clock.say(stage.probe())
        if clock.due("save", SAVE_EVERY_S):
            _save(stage, path)
        if stop.raised:
            _save(stage, path)
            raise Stopped(f"stopped in stage {stage.name} at step {stage.steps}; saved {path}")
    _save(stage, path)
    final = stage.probe()
    clock.say(final)
    last_loss = round(totals["loss"], 5) if totals else stage.losses[-1][1]
    return {
        "steps": stage.steps,
        "seconds": round(stage.used_s, 1),
        "last_loss": last_loss,
        "losses": _thin(stage.losses),
        **final,
    }


class _Clock:
    """Seconds of work so far, and what is due."""

    def __init__(self, stage: Stage, budget_s: float) -> None:
        self.stage, self.budget_s = stage, budget_s
        self.last_s = time.monotonic()
        self.done_s: dict[str, float] = {}

    def tick(self) -> None:
        now_s = time.monotonic()
        self.stage.used_s += now_s - self.last_s
        self.last_s = now_s

    def due(self, what: str, every_s: float) -> bool:
        last_s = self.done_s.setdefault(what, self.stage.used_s)
        if self.stage.used_s - last_s < every_s:
            return False
        self.done_s[what] = self.stage.used_s
        return True

    def say(self, numbers: dict[str, float]) -> None:
        shown = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        left_s = max(self.budget_s - self.stage.used_s, 0)
        print(f"{self.stage.name}  step {self.stage.steps}  {shown}  {left_s:.0f} s left", flush=True)


def _save(stage: Stage, path: Path) -> None:
    tensors = {f"network.{name}": value for name, value in stage.network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in stage.average.items()}
    tensors |= checkpoint.optimizer_tensors(stage.optimizer)
    facts = {"steps": stage.steps, "used_s": stage.used_s, "losses": stage.losses}
    checkpoint.save(path, tensors, facts)
    stage.saved()


def _restore(stage: Stage, path: Path) -> None:
    saved = checkpoint.load(path)
    if saved is None:
        return
    tensors, facts = saved
    stage.network.load_state_dict(_under(tensors, "network."))
    for name, value in _under(tensors, "average.").items():
        stage.average[name].copy_(value)
    checkpoint.restore_optimizer(stage.optimizer, tensors)
    stage.steps, stage.used_s = facts["steps"], facts["used_s"]
    stage.losses = [(int(step), float(loss)) for step, loss in facts["losses"]]
    print(f"{stage.name}  resumed at step {stage.steps}, {stage.used_s:.0f} s used", flush=True)


def _under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _thin(losses: list[tuple[int, float]], keep: int = 24) -> list[tuple[int, float]]:
    return losses[:: max(1, len(losses) // keep)]
