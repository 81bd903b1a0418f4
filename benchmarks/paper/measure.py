"""One task's result: the extreme value at which its load still holds, or its figures at given points."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log
from pathlib import Path
from typing import Any

from msgspec import structs
from recovery import recovery
from tasks import Task

from brickwork.core.errors import BrickworkError
from brickwork.sim.points import Point, evaluate, streams_of
from brickwork.sim.run import profile_of
from brickwork.sim.scenario import Messages, Scenario, varied
from brickwork.sim.search import capacity_per_s, largest, with_devices

FIELDS = {"rate": "arrivals.rate_per_s", "height": "arrivals.height", "cv": "arrivals.cv"}
MAX_DEVICES = 64
MAX_HEIGHT = 512

FIRST_STEP = 8
"""Of the search on one seed, which knows nothing; the search on all begins where that one ends, with steps of 1."""


def measure(task: Task, traces: Path) -> dict[str, Any]:
    """What was found; {"skipped": why} when the task cannot be run here, for want of a trace for instance."""
    started_s = time.process_time()
    try:
        found = _points(task, traces) if task.sweep.find == "points" else _extreme(task, traces)
    except BrickworkError as error:
        return {"skipped": str(error)}
    return found | {"cpu_s": round(time.process_time() - started_s, 1)}


@dataclass(frozen=True)
class Grid:
    """Scenarios in order of difficulty, by whole numbers."""

    at: Callable[[Scenario, int], Scenario]
    value: Callable[[int], float]
    low: int
    high: int
    guess: int


def _extreme(task: Task, traces: Path) -> dict[str, Any]:
    """Search on the first seed alone, then from there on all of them: points of one seed cost a part of the others."""
    given = task.scenario
    judged: dict[int, Point] = {}
    grid, also = _grid(task, given, traces)

    def holds(n: int) -> bool:
        if n not in judged:
            judged[n] = _judge(task, grid.at(given, n), traces, stops=True)
        return judged[n].verdict.holds

    guess, step = grid.guess, FIRST_STEP if grid.high - grid.low > 4 * FIRST_STEP else 1
    if len(task.seeds) > 1:
        first = structs.replace(given, seeds=task.seeds[:1])
        alone = largest(
            lambda n: _judge(task, grid.at(first, n), traces, True).verdict.holds, guess, grid.low, grid.high, step
        )
        guess, step = (grid.low if alone is None else alone), 1
    best = largest(holds, guess, grid.low, grid.high, step)
    at = judged[best] if best is not None else _judge(task, grid.at(given, grid.low), traces, stops=False)
    tried = {f"{grid.value(n):.4g}": judged[n].verdict.holds for n in sorted(judged)}
    return {task.sweep.find: None if best is None else grid.value(best)} | also | _verdict(at) | {"tried": tried}


def _judge(task: Task, given: Scenario, traces: Path, stops: bool) -> Point:
    profile, streams = profile_of(given), streams_of(given, (traces,))
    is_common = task.admission == "common"
    return evaluate(given, profile, streams, is_common, task.sweep.judge == "spikes", stops=stops)


def _grid(task: Task, given: Scenario, traces: Path) -> tuple[Grid, dict[str, Any]]:
    """The grid of a search, and what is worth telling beside its result."""
    find, ratio = task.sweep.find, task.resolution
    first = structs.replace(given, seeds=task.seeds[:1])
    if find == "cv":
        values = sorted(task.sweep.values)
        return Grid(_varies("cv", lambda n: values[n]), lambda n: values[n], 0, len(values) - 1, len(values) // 3), {}
    if find == "height":
        return _ratio_grid("height", 1.0, 1.0, MAX_HEIGHT, 32.0, ratio), {}
    capacity = capacity_per_s(first, profile_of(first), streams_of(first, (traces,)))
    if find == "rate":
        return _ratio_grid("rate", capacity, 0.02, 1.3, 0.7, ratio), {"capacity_per_s": round(capacity, 3)}
    per_device = capacity / sum(each.count for each in given.fleet)
    guess = ceil(given.arrivals.rate_per_s / per_device / 0.8)  # type: ignore[operator]
    return Grid(lambda each, n: with_devices(each, -n), lambda n: -n, -MAX_DEVICES, -1, -min(guess, MAX_DEVICES)), {}


def _ratio_grid(find: str, unit: float, low: float, high: float, guess: float, ratio: float) -> Grid:
    """Values `unit` x `ratio` ** n."""
    edges = [round(log(edge) / log(ratio)) for edge in (low, high, guess)]
    return Grid(_varies(find, lambda n: unit * ratio**n), lambda n: round(unit * ratio**n, 3), *edges)


def _varies(find: str, value: Callable[[int], float]) -> Callable[[Scenario, int], Scenario]:
    return lambda given, n: varied(given, {FIELDS[find]: value(n)})


def _points(task: Task, traces: Path) -> dict[str, Any]:
    """The values of a sweep as requests per second; none: the file as it is."""
    given = task.scenario
    if not task.sweep.values:
        point = _judge(task, given, traces, stops=False)
        at_s = [fault.at_s for fault in given.faults if not isinstance(fault, Messages)]
        return _verdict(point) | (recovery(point, at_s[0]) if at_s else {})
    found = {}
    for value in task.sweep.values:
        found[str(value)] = _verdict(_judge(task, varied(given, {FIELDS["rate"]: value}), traces, stops=False))
    return {"points": found}


def _verdict(point: Point) -> dict[str, Any]:
    found = point.verdict
    return {
        "attainment": round(found.attainment, 4),
        "by_seed": [round(each, 4) for each in found.by_seed],
        "worst": round(found.worst, 4),
        "weighted": round(found.weighted, 4),
        "detail": point.detail,
    }
