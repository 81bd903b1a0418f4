"""Run a scenario under control: its draws become requests, its fleet slots, its faults the driver's faults."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import ceil
from pathlib import Path

from brickwork.compiler.plan import Plan
from brickwork.control.machine import Control
from brickwork.control.policies import ABLATIONS, Policies, by_name
from brickwork.core.ids import RequestId
from brickwork.core.request import SLO, Request, Scalar
from brickwork.observe.spans import Span
from brickwork.profile.files import SHIPPED, read_profile, shipped_profile
from brickwork.profile.table import Profile
from brickwork.sim import faults, scenario
from brickwork.sim.baselines.costs import GIB, cost
from brickwork.sim.cluster import Cluster, Slot
from brickwork.sim.loop import Loop
from brickwork.sim.managed import simulate_sets
from brickwork.sim.published import plan, values
from brickwork.sim.recipes import recipe_of
from brickwork.sim.report import Report
from brickwork.sim.runs import Run
from brickwork.sim.scenario import Scenario, ScenarioError
from brickwork.sim.streams import Draw
from brickwork.sim.workload import Arrival

WARM_S = 60.0
"""Before time zero: requests of one step, two for each device, bring models onto an empty fleet. Baselines begin with
their pipelines loaded; a fleet that has run before does."""

WARM = "warm-"
"""Begins the ids of those requests; they are in no report."""

OURS = "brickwork"
"""Name of the policies that are served live; `brickwork:fifo` is them with one feature off, see control.policies."""


Values = tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True, slots=True)
class Watch:
    """What a run tells while it goes on."""

    progress: Callable[[int], None] | None = None  # requests that have arrived
    spans: Callable[[Span], None] | None = None
    checks: bool = False  # State.check() after every event
    logs: bool = False  # digest of all decisions
    enough: Callable[[Sequence[Run]], bool] | None = None  # asked of the runs so far: nothing more need arrive


def policies_of(name: str) -> Policies:
    """`brickwork`, or `brickwork:` with the name of an ablation. raises ScenarioError"""
    plain, _, ablation = name.partition(":")
    if plain != OURS or (ablation and ablation not in ABLATIONS):
        known = ", ".join([OURS, *(f"{OURS}:{each}" for each in ABLATIONS)])
        raise ScenarioError(f"policy: {name!r} is not one that control knows: {known}.")
    return by_name(**ABLATIONS[ablation]) if ablation else Policies()


def profile_of(given: Scenario, folder: Path = Path()) -> Profile:
    """The scenario's profile: a shipped one, or a file relative to `folder`. raises ProfileError, ScenarioError"""
    profile = shipped_profile(given.profile) if given.profile in SHIPPED else read_profile(folder / given.profile)
    for devices in given.fleet:
        if devices.device not in profile.devices:
            known = ", ".join(profile.devices)
            raise ScenarioError(f"fleet: profile {given.profile} knows no device {devices.device!r}, but: {known}.")
    return profile if given.load_scale == 1.0 else _with_loads(profile, given.load_scale)


def _with_loads(profile: Profile, scale: float) -> Profile:
    """The profile with loads that take `scale` times as long."""
    devices = {
        name: replace(
            device,
            load_base_s=device.load_base_s * scale,
            load_bytes_per_s=device.load_bytes_per_s / scale,
            loads_s={model: seconds * scale for model, seconds in device.loads_s.items()},
        )
        for name, device in profile.devices.items()
    }
    return replace(profile, devices=devices)


def simulate(
    given: Scenario, profile: Profile, stream: Sequence[Draw], seed: int = 0, watch: Watch | None = None
) -> Report:
    """One history of a scenario, under one of control's policies.

    stream    `streams.draws(given, seed, ...)`
    """
    watch, slots, policies = watch or Watch(), slots_of(given), policies_of(given.policy)
    report = Report()

    def control() -> Control:
        return Control(profile, policies)

    def cluster(loop: Loop) -> Cluster:
        return Cluster(
            control(), profile, seed, given.noise, watch.checks, watch.logs, given.link_s, watch.spans,
            restart=control, loop=loop, report=report,
        )  # fmt: skip

    warming = list(_warming(_arrivals(given, profile, stream[: 2 * len(slots)])))
    later = _told(_later(_arrivals(given, profile, stream)), watch, report)
    happening = [(fault.set if isinstance(fault, scenario.CoordinatorLoss) else None, _fault(fault, slots))
                 for fault in given.faults]  # fmt: skip
    if given.sets or given.node_manager:
        simulate_sets(given, profile, slots, cluster, chain(warming, later), happening, WARM_S)
    else:
        _one_set(slots, cluster(Loop()), warming, later, [fault for _, fault in happening])
    return report


def _one_set(
    slots: Sequence[Slot],
    cluster: Cluster,
    warming: Sequence[Arrival],
    later: Iterator[Arrival],
    happening: Sequence[faults.Fault],
) -> None:
    """One set that has all devices, always."""
    for slot in slots:
        cluster.add(slot)
    for arrival in warming:
        cluster.submit(arrival)
    cluster.feed(later)
    for fault in happening:
        cluster.schedule(fault)
    report = cluster.run()
    report.reserved_s = len(slots) * max(0.0, report.ended_s - WARM_S)


def slots_of(given: Scenario) -> list[Slot]:
    slots: list[Slot] = []
    for devices in given.fleet:
        for _ in range(devices.count):
            slots.append(Slot(f"d{len(slots)}", int(devices.memory_gib * GIB), devices.device, number=len(slots) + 1))
    return slots


def _arrivals(given: Scenario, profile: Profile, stream: Sequence[Draw]) -> Iterator[Arrival]:
    device = given.fleet[0].device
    known: dict[tuple[int, str], tuple[Plan, SLO, Values]] = {}
    for number, draw in enumerate(stream):
        key = (id(draw.part), draw.workflow)
        if key not in known:
            what = recipe_of(draw.part, draw.workflow)
            deadline_s = cost(draw.part, draw.workflow, profile, device, given.slo_scale).slo_s
            least = ceil(given.least_steps * what.steps)
            slo = SLO(deadline_s, degrade=(("steps", least),) if least < what.steps else ())
            known[key] = (plan(what), slo, values(what))
        made, slo, given_values = known[key]
        request = Request(RequestId(f"r-{number}"), made.workflow, given_values, slo)
        yield Arrival(draw.time_s, request, made, part=draw.part.workflow)


def _later(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    """The scenario's time zero is the end of the warm-up."""
    for arrival in arrivals:
        yield replace(arrival, time_s=arrival.time_s + WARM_S)


def _warming(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    """The same requests at the start, of one step each and without deadline."""
    for arrival in arrivals:
        request = arrival.request
        short = tuple((name, 1 if name == "steps" else value) for name, value in request.values)
        warm = replace(request, id=RequestId(f"{WARM}{request.id}"), values=short, slo=SLO())
        yield replace(arrival, time_s=0.0, request=warm, is_judged=False)


def _told(arrivals: Iterator[Arrival], watch: Watch, report: Report) -> Iterator[Arrival]:
    """The arrivals, until `watch` has enough; it is asked, and told how far things are, after every hundred."""
    for number, arrival in enumerate(arrivals, start=1):
        yield arrival
        if number % 100 == 0:
            if watch.progress is not None:
                watch.progress(number)
            if watch.enough is not None and watch.enough(list(report.runs)):
                return


def _fault(fault: scenario.Fault, slots: Sequence[Slot]) -> faults.Fault:
    match fault:
        case scenario.Crash():
            return faults.Crash(WARM_S + fault.at_s, _slot(fault.device, slots), fault.back_after_s)
        case scenario.Slow():
            return faults.Slowdown(WARM_S + fault.at_s, _slot(fault.device, slots), fault.factor, fault.for_s)
        case scenario.Messages():
            return faults.BadMessages(fault.lost, fault.late, fault.repeated, fault.resend_s, fault.late_s)
        case scenario.CoordinatorLoss():
            return faults.Takeover(WARM_S + fault.at_s, fault.back_after_s)
        case scenario.Partition():
            names = tuple(_slot(device, slots) for device in fault.devices)
            return faults.Partition(WARM_S + fault.at_s, names, fault.for_s)


def _slot(device: int, slots: Sequence[Slot]) -> str:
    if device >= len(slots):
        raise ScenarioError(f"faults: device {device} does not exist; the fleet has 0 to {len(slots) - 1}.")
    return slots[device].name
