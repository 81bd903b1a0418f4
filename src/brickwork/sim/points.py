"""One point of a comparison: a policy by name, on all seeds of a scenario, and the verdict."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from brickwork.core.request import Outcome
from brickwork.profile.table import Profile
from brickwork.sim.baselines.bounds import fluid, ideal, ideal2
from brickwork.sim.baselines.costs import Job, Load, load_of
from brickwork.sim.baselines.diflow import b5
from brickwork.sim.baselines.gangs import best_degrees, fixed_degree
from brickwork.sim.baselines.pools import edf_pool, resident_pool
from brickwork.sim.baselines.stages import best_stage_pools
from brickwork.sim.baselines.static import Split, split_b0, split_b1, split_b2
from brickwork.sim.baselines.verdict import Finishes, Missed, Verdict, verdict, verdict_of_runs
from brickwork.sim.report import Report
from brickwork.sim.run import OURS, WARM_S, Watch, simulate
from brickwork.sim.runs import Run
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
    stops: bool = False,
) -> Point:
    """Run `given.policy` on the streams of its seeds.

    admits     baselines get admission by exact finish ("common"); else their own, which is to drop what is late
    stops      leave off as soon as the load cannot hold: whether it holds is exact, and the figures are where it does
    """
    load = load_of(given, profile, streams, spikes_only)
    if given.policy.partition(":")[0] == OURS:
        return _ours(given, profile, streams, load, watch or Watch(), stops)
    if given.policy not in BASELINES:
        known = ", ".join([OURS, *BASELINES])
        raise ScenarioError(f"policy: {given.policy!r} is not known; there are: {known}.")
    if len(given.fleet) > 1:
        raise ScenarioError(f"policy: {given.policy} places on one type of device; the fleet has {len(given.fleet)}.")
    _refuse_faults(given)
    if given.sets or given.node_manager:
        raise ScenarioError(f"sets: policy {given.policy} has one fixed fleet; use policy {OURS}, or leave sets out.")
    found, detail = BASELINES[given.policy](load, given.fleet[0].count, admits, stops)
    return Point(given.policy, found, detail)


def _refuse_faults(given: Scenario) -> None:
    if given.faults:
        raise ScenarioError(f"faults: policy {given.policy} is modelled without faults; use policy {OURS}.")


def _ours(
    given: Scenario, profile: Profile, streams: Sequence[Sequence[Draw]], load: Load, watch: Watch, stops: bool
) -> Point:
    reports: list[Report] = []

    def run(jobs: Sequence[Job], missed: Missed) -> Finishes:
        number = len(reports)
        told = replace(watch, enough=_enough(jobs, missed)) if stops else watch
        reports.append(simulate(given, profile, streams[number], given.seeds[number], told))
        ends = [_finished_s(run) for run in reports[-1].runs]
        return ends + [None] * (len(jobs) - len(ends))

    found = verdict_of_runs(load, run, stops)
    return Point(given.policy, found, _detail(reports), tuple(reports))


def _enough(jobs: Sequence[Job], missed: Missed) -> Callable[[Sequence[Run]], bool]:
    """Tells `missed` once of each run that has ended late or not at all well."""
    told: set[int] = set()

    def enough(runs: Sequence[Run]) -> bool:
        is_spent = False
        for number, run in enumerate(runs):
            if run.outcome is not None and number not in told:
                told.add(number)
                end_s = _finished_s(run)
                is_spent |= (end_s is None or end_s > jobs[number].due_s) and missed(number)
        return is_spent

    return enough


def _detail(reports: Sequence[Report]) -> dict[str, Any]:
    arrived = max(1, sum(len(report.runs) for report in reports))
    return {
        "loads_per_request": sum(report.loads.total() for report in reports) / arrived,
        "busy_s_per_request": sum(report.busy_s for report in reports) / arrived,
        "device_hours": sum(report.reserved_s for report in reports) / 3600,
        **({"fleet_orders": _orders(reports)} if any(report.orders for report in reports) else {}),
        "joins": sum(report.joins for report in reports),
        "yields": sum(report.yields for report in reports),
        "events": sum(report.events for report in reports),
        "unfinished": sum(report.outcomes["unfinished"] for report in reports),
    }


def _orders(reports: Sequence[Report]) -> str:
    """What the Node Manager ordered, in devices."""
    counts: Counter[str] = Counter()
    for report in reports:
        for _, order in report.orders:
            counts[type(order).__name__.lower()] += order.count
    return ", ".join(f"{counts[kind]} {kind}" for kind in ("move", "start", "stop"))


def _finished_s(run: Run) -> float | None:
    """When it succeeded, on the clock of the stream."""
    if run.outcome is not Outcome.SUCCEEDED or run.finished_s is None:
        return None
    return run.finished_s - WARM_S


Baseline = Callable[[Load, int, bool, bool], tuple[Verdict, dict[str, Any]]]
"""(load, devices, admits, stops) -> verdict and what was chosen. Those that are quick run to the end all the same."""


def _of_split(split: Callable[[Load, int, bool, bool], Split]) -> Baseline:
    def run(load: Load, devices: int, admits: bool, stops: bool) -> tuple[Verdict, dict[str, Any]]:
        found = split(load, devices, admits, stops)
        offered = max(1, sum(map(len, load.seeds)))
        groups = [[list(names), count] for names, count in found.groups]
        return found.verdict, {"split": groups, "loads_per_request": found.loads / offered}

    return run


def _fifo(load: Load, devices: int, admits: bool, stops: bool) -> tuple[Verdict, dict[str, Any]]:
    return verdict(load, [resident_pool(jobs, load.costs, devices, admits) for jobs in load.seeds]), {}


def _edf(load: Load, devices: int, admits: bool, stops: bool) -> tuple[Verdict, dict[str, Any]]:
    return verdict(load, [edf_pool(jobs, load.costs, devices) for jobs in load.seeds]), {}


def _stages(load: Load, devices: int, admits: bool, stops: bool) -> tuple[Verdict, dict[str, Any]]:
    if devices < 3:
        raise ScenarioError("policy: B3 has three pools; the fleet needs at least 3 devices.")
    sizes, found = best_stage_pools(load, devices, admits)
    return found, {"sizes": list(sizes)}


def _degrees(load: Load, devices: int, admits: bool, stops: bool) -> tuple[Verdict, dict[str, Any]]:
    degrees, found = best_degrees(load, devices, admits)
    return found, {"degrees": dict(zip((cost.name for cost in load.costs), degrees, strict=True))}


def _degree(degree: int) -> Baseline:
    return lambda load, devices, admits, stops: (fixed_degree(load, devices, degree, admits), {"degree": degree})


def _diflow(variant: str) -> Baseline:
    return lambda load, devices, admits, stops: (b5(load, devices, variant, stops=stops), {})


def _ideal2(load: Load, devices: int, admits: bool, stops: bool) -> tuple[Verdict, dict[str, Any]]:
    sizes, found = ideal2(load, devices, stops)
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
    "B5": _diflow("B5"),
    "B5r": _diflow("B5r"),
    "B5p": _diflow("B5p"),
    "fifo-pool": _fifo,
    "edf-pool": _edf,
    "fluid": lambda load, devices, admits, stops: (fluid(load, devices), {}),
    "ideal": lambda load, devices, admits, stops: (ideal(load, devices, stops), {}),
    "ideal2": _ideal2,
}
