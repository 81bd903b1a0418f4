"""One point of a comparison: a policy by name, on all seeds of a scenario, and the verdict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from msgspec import structs

from brickwork.core.request import Outcome
from brickwork.profile.table import Profile
from brickwork.sim.baselines.bounds import fluid, ideal, ideal2
from brickwork.sim.baselines.costs import Load, load_of
from brickwork.sim.baselines.diflow import b5
from brickwork.sim.baselines.gangs import best_degrees, fixed_degree
from brickwork.sim.baselines.pools import edf_pool, resident_pool
from brickwork.sim.baselines.stages import best_stage_pools
from brickwork.sim.baselines.static import Split, split_b0, split_b1, split_b2
from brickwork.sim.baselines.verdict import Verdict, verdict
from brickwork.sim.report import Report, Run
from brickwork.sim.run import OURS, WARM_S, Watch, simulate
from brickwork.sim.scenario import Scenario, ScenarioError
from brickwork.sim.streams import Draw, draws


@dataclass(frozen=True)
class Point:
    """What a policy made of a scenario."""

    policy: str
    verdict: Verdict
    detail: dict[str, Any]  # what the search of a baseline chose, or what control did
    reports: tuple[Report, ...] = ()  # of control's policies, by seed


def streams_of(given: Scenario, folders: tuple[Path, ...] = ()) -> list[list[Draw]]:
    """The draws of all seeds."""
    return [draws(given, seed, folders) for seed in given.seeds]


def evaluate(
    given: Scenario,
    profile: Profile,
    streams: Sequence[Sequence[Draw]],
    admits: bool = True,
    spikes_only: bool = False,
    watch: Watch | None = None,
) -> Point:
    """Run `given.policy` on the streams of its seeds.

    admits     baselines get admission by exact finish ("common"); else their own, which is to drop what is late
    """
    load = load_of(given, profile, streams, spikes_only)
    if given.policy.partition(":")[0] == OURS:
        return _ours(given, profile, streams, load, watch)
    if given.policy not in BASELINES:
        known = ", ".join([OURS, *BASELINES])
        raise ScenarioError(f"policy: {given.policy!r} is not known; there are: {known}.")
    if len(given.fleet) > 1:
        raise ScenarioError(f"policy: {given.policy} places on one type of device; the fleet has {len(given.fleet)}.")
    _refuse_faults(given)
    found, detail = BASELINES[given.policy](load, given.fleet[0].count, admits)
    return Point(given.policy, found, detail)


def _refuse_faults(given: Scenario) -> None:
    if given.faults:
        raise ScenarioError(f"faults: policy {given.policy} is modelled without faults; use policy {OURS}.")


def _ours(
    given: Scenario, profile: Profile, streams: Sequence[Sequence[Draw]], load: Load, watch: Watch | None
) -> Point:
    reports = tuple(
        simulate(given, profile, stream, seed, watch) for seed, stream in zip(given.seeds, streams, strict=True)
    )
    ends = [[_finished_s(run) for run in report.runs.values()] for report in reports]
    offered = sum(len(report.runs) for report in reports)
    detail = {
        "loads_per_request": sum(report.loads.total() for report in reports) / max(1, offered),
        "busy_s_per_request": sum(report.busy_s for report in reports) / max(1, offered),
        "joins": sum(report.joins for report in reports),
        "yields": sum(report.yields for report in reports),
        "events": sum(report.events for report in reports),
        "unfinished": sum(report.outcomes["unfinished"] for report in reports),
    }
    return Point(given.policy, verdict(load, ends), detail, reports)


def _finished_s(run: Run) -> float | None:
    """When it succeeded, on the clock of the stream."""
    if run.outcome is not Outcome.SUCCEEDED or run.finished_s is None:
        return None
    return run.finished_s - WARM_S


Baseline = Callable[[Load, int, bool], tuple[Verdict, dict[str, Any]]]


def _of_split(split: Callable[[Load, int, bool], Split]) -> Baseline:
    def run(load: Load, devices: int, admits: bool) -> tuple[Verdict, dict[str, Any]]:
        found = split(load, devices, admits)
        return found.verdict, {"split": [[list(names), count] for names, count in found.groups]}

    return run


def _fifo(load: Load, devices: int, admits: bool) -> tuple[Verdict, dict[str, Any]]:
    return verdict(load, [resident_pool(jobs, load.costs, devices, admits) for jobs in load.seeds]), {}


def _edf(load: Load, devices: int, admits: bool) -> tuple[Verdict, dict[str, Any]]:
    return verdict(load, [edf_pool(jobs, load.costs, devices) for jobs in load.seeds]), {}


def _stages(load: Load, devices: int, admits: bool) -> tuple[Verdict, dict[str, Any]]:
    if devices < 3:
        raise ScenarioError("policy: B3 has three pools; the fleet needs at least 3 devices.")
    sizes, found = best_stage_pools(load, devices, admits)
    return found, {"sizes": list(sizes)}


def _degrees(load: Load, devices: int, admits: bool) -> tuple[Verdict, dict[str, Any]]:
    degrees, found = best_degrees(load, devices, admits)
    return found, {"degrees": dict(zip((cost.name for cost in load.costs), degrees, strict=True))}


def _degree(degree: int) -> Baseline:
    return lambda load, devices, admits: (fixed_degree(load, devices, degree, admits), {"degree": degree})


def _ideal2(load: Load, devices: int, admits: bool) -> tuple[Verdict, dict[str, Any]]:
    sizes, found = ideal2(load, devices)
    return found, {"sizes": list(sizes)}


BASELINES: dict[str, Baseline] = {
    "B0": _of_split(split_b0),
    "B1": _of_split(split_b1),
    "B2": _of_split(split_b2),
    "B3": _stages,
    "B4": _degrees,
    "B4-1": _degree(1),
    "B4-2": _degree(2),
    "B4-4": _degree(4),
    "B4-8": _degree(8),
    "B5": lambda load, devices, admits: (b5(load, devices, "B5"), {}),
    "B5r": lambda load, devices, admits: (b5(load, devices, "B5r"), {}),
    "B5p": lambda load, devices, admits: (b5(load, devices, "B5p"), {}),
    "fifo-pool": _fifo,
    "edf-pool": _edf,
    "fluid": lambda load, devices, admits: (fluid(load, devices), {}),
    "ideal": lambda load, devices, admits: (ideal(load, devices), {}),
    "ideal2": _ideal2,
}


def largest(holds: Callable[[float], bool], low: float, high: float, resolution: float) -> float:
    """The largest value between `low` and `high` that holds, by halving in ratio; 0 when `low` does not hold."""
    if not holds(low):
        return 0.0
    if holds(high):
        return high
    while high / low > resolution:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def capacity_per_s(given: Scenario, profile: Profile, streams: Sequence[Sequence[Draw]]) -> float:
    """Requests per second at which the devices would be busy all the time, one request at a time."""
    load = load_of(given, profile, streams)
    seconds = [load.costs[job.kind].solo_s for jobs in load.seeds for job in jobs]
    devices = sum(each.count for each in given.fleet)
    return devices / (sum(seconds) / max(1, len(seconds))) if seconds else inf


def fewest_devices(
    given: Scenario, evaluates: Callable[[Scenario], Point], most: int
) -> tuple[int | None, list[tuple[int, Verdict]]]:
    """How few devices of the fleet's first type hold the load: doubling until it holds, then halving between.

    returns    (devices or None when `most` do not hold, every number tried with its verdict)
    """
    tried: list[tuple[int, Verdict]] = []

    def holds(count: int) -> bool:
        found = evaluates(with_devices(given, count)).verdict
        tried.append((count, found))
        return found.holds

    high = 1
    while not holds(high):
        if high >= most:
            return None, tried
        high = min(most, high * 2)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high, tried


def with_devices(given: Scenario, count: int) -> Scenario:
    """The scenario on `count` devices of the fleet's first type alone."""
    return structs.replace(given, fleet=(structs.replace(given.fleet[0], count=count),))
