"""What an experiment file asks for, as a list of tasks: one sweep's row, one policy, one admission."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import structs

from brickwork.sim.run import OURS
from brickwork.sim.scenario import Experiment, Scenario, Sweep, read_experiment, read_scenario, varied

SCENARIOS = Path(__file__).parent / "scenarios"

NO_ADMISSION = ("fifo-pool", "edf-pool", "fluid", "ideal", "ideal2", "B5", "B5r", "B5p")
"""Policies that run once: bounds, and those whose admission is part of the definition."""

SMOKE_REQUESTS = 60

SECONDS = {
    "B2": 5e-4, "B3": 2.6e-4, "B5": 6e-4, "B5r": 5e-4, "B5p": 8e-4, "ideal": 1.2e-4, "ideal2": 3.5e-4, OURS: 1.2e-3,
}  # fmt: skip
"""Processor seconds of a request at one point, for estimates; policies that are not here are quick."""

POINTS = 6
"""Points of a search, of whole length."""


@dataclass(frozen=True)
class Choice:
    """What a command line picks from an experiment. Empty: everything."""

    only: tuple[str, ...] = ()  # scenario files whose name begins so, in this order
    rows: tuple[int, ...] = ()  # of each sweep
    policies: tuple[str, ...] = ()  # instead of the experiment's
    without: tuple[str, ...] = ()  # beginnings of policies to leave out
    admission: str | None = None
    seeds: int | None = None  # the first so many
    requests: int | None = None
    resolution: float | None = None
    smoke: bool = False


@dataclass(frozen=True)
class Task:
    """One line of results."""

    experiment: str
    sweep: Sweep
    row: dict[str, Any] = field(hash=False)
    policy: str
    admission: str
    seeds: tuple[int, ...]
    requests: int | None  # None: the scenario's
    resolution: float

    @property
    def scenario(self) -> Scenario:
        base = varied(read_scenario(SCENARIOS / self.sweep.scenario), self.row)
        return structs.replace(base, seeds=self.seeds, requests=self.requests or base.requests, policy=self.policy)

    @property
    def key(self) -> dict[str, Any]:
        """What tells a line from others; everything but its result."""
        return {
            "experiment": self.experiment, "scenario": self.sweep.scenario, "row": self.row, "find": self.sweep.find,
            "judge": self.sweep.judge, "policy": self.policy, "admission": self.admission, "seeds": list(self.seeds),
            "requests": self.requests, "resolution": self.resolution,
        }  # fmt: skip

    @property
    def estimate_s(self) -> float:
        """Processor seconds, roughly."""
        count = self.requests or self.scenario.requests or 3000
        points = max(1, len(self.sweep.values)) if self.sweep.find == "points" else POINTS
        return 0.5 + SECONDS.get(self.policy.partition(":")[0], 2e-5) * count * len(self.seeds) * points


def tasks_of(name: str, choice: Choice) -> list[Task]:
    """All tasks of experiment `name` that are chosen."""
    experiment = read_experiment(SCENARIOS / f"{name}.yaml")
    return [task for sweep in _sweeps(experiment, choice) for task in _of_sweep(experiment, sweep, choice)]


def text_of(key: dict[str, Any]) -> str:
    """A key as text that is equal for equal keys."""
    return json.dumps(key, sort_keys=True)


def _sweeps(experiment: Experiment, choice: Choice) -> list[Sweep]:
    if not choice.only:
        return list(experiment.sweeps)
    return [sweep for start in choice.only for sweep in experiment.sweeps if sweep.scenario.startswith(start)]


def _of_sweep(experiment: Experiment, sweep: Sweep, choice: Choice) -> Iterator[Task]:
    seeds = experiment.seeds[: 1 if choice.smoke else choice.seeds or sweep.seeds]
    requests = SMOKE_REQUESTS if choice.smoke else choice.requests or sweep.requests
    rows = _chosen(
        [dict(zip(sweep.over, values, strict=True)) for values in itertools.product(*sweep.over.values())], choice
    )
    for row in rows:
        for policy in choice.policies or sweep.policies or experiment.policies:
            if not policy.startswith(choice.without or ("\n",)):
                for admission in _admissions(policy, sweep.admission or experiment.admission, choice):
                    resolution = choice.resolution or sweep.resolution
                    yield Task(experiment.name, sweep, row, policy, admission, seeds, requests, resolution)


def _chosen(rows: list[dict[str, Any]], choice: Choice) -> list[dict[str, Any]]:
    if choice.smoke:
        return rows[:1]
    return [rows[k] for k in choice.rows if k < len(rows)] if choice.rows else rows


def _admissions(policy: str, usual: Sequence[str], choice: Choice) -> Sequence[str]:
    if policy in NO_ADMISSION or policy.startswith(OURS):
        return ("common",)
    return (choice.admission,) if choice.admission else usual
