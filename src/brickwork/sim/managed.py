"""From a scenario with workflow sets to a run of them: their Controls, the router, the fleet, the Node Manager."""

from collections.abc import Callable, Iterable, Sequence

from brickwork.node_manager.driver import NodeManager, Terms
from brickwork.node_manager.policy import DeviceType
from brickwork.profile.table import Profile
from brickwork.router.driver import Router
from brickwork.sim.baselines.costs import GIB, cost
from brickwork.sim.cluster import Cluster, Slot
from brickwork.sim.faults import Fault, Takeover
from brickwork.sim.fleet import VirtualFleet
from brickwork.sim.loop import Loop
from brickwork.sim.scenario import Scenario, ScenarioError, WorkflowSet
from brickwork.sim.sets import Sets
from brickwork.sim.streams import shares
from brickwork.sim.workload import Arrival


def simulate_sets(
    given: Scenario,
    profile: Profile,
    slots: Sequence[Slot],
    cluster: Callable[[Loop], Cluster],
    arrivals: Iterable[Arrival],
    happening: Iterable[tuple[int | None, Fault]],
    manage_from_s: float,
) -> None:
    """One history of several sets.

    cluster          makes a set's driver; all of them share one report
    happening        faults, those of a coordinator with the number of its set
    manage_from_s    when the Node Manager begins, and devices begin to count as held
    """
    loop, sets = Loop(), sets_of(given)
    clusters = {each.name: cluster(loop) for each in sets}
    report = next(iter(clusters.values())).report
    starts_s = [devices.start_s for devices in given.fleet for _ in range(devices.count)]
    fleet = VirtualFleet(loop, clusters, list(zip(slots, starts_s, strict=True)))
    for each in sets:
        for devices, count in zip(given.fleet, each.devices, strict=True):
            fleet.give(each.name, devices.device, count)
    for number, fault in happening:
        for name in [sets[_number(number, sets)].name] if isinstance(fault, Takeover) else clusters:
            clusters[name].schedule(fault)
    terms = given.node_manager
    manager = NodeManager(_types(given, profile), Terms(terms.cool_down_s, terms.idle_s)) if terms else None
    router = Router({each.name: frozenset(each.workflows) for each in sets})
    driver = Sets(loop, report, clusters, router, fleet, manager, terms.every_s if terms else 0.0)
    driver.feed(arrivals, manage_from_s)
    loop.run(max_calls=1_000_000_000)
    for done in clusters.values():
        done.account()
    report.reserved_s = fleet.reserved_s(manage_from_s, report.ended_s)


def sets_of(given: Scenario) -> list[WorkflowSet]:
    """The sets of a scenario, with all that they leave out.

    raises    ScenarioError when a set's workflow is not in the mix, a workflow is served by none, or the devices are
              more than there are
    """
    mix, counts = tuple(shares(given)), tuple(devices.count for devices in given.fleet)
    sets = given.sets or (WorkflowSet("all", mix, counts),)
    found = [WorkflowSet(each.name, each.workflows or mix, _counts(each, len(counts))) for each in sets]
    if len({each.name for each in found}) < len(found):
        raise ScenarioError("sets: two have the same name; give each its own.")
    for each in found:
        if unknown := [name for name in each.workflows if name not in mix]:
            raise ScenarioError(f"sets: {each.name}: workflow {unknown[0]!r} is not in the mix: {', '.join(mix)}.")
    if left := [name for name in mix if not any(name in each.workflows for each in found)]:
        raise ScenarioError(f"sets: no set serves {left[0]!r}; add it to the workflows of one.")
    for devices, wanted in zip(given.fleet, zip(*(each.devices for each in found), strict=True), strict=True):
        if sum(wanted) > devices.count:
            raise ScenarioError(
                f"sets: {sum(wanted)} devices {devices.device} are given out, and the fleet has {devices.count}."
            )
    return found


def _counts(given: WorkflowSet, types: int) -> tuple[int, ...]:
    if len(given.devices) > types:
        raise ScenarioError(f"sets: {given.name}: devices has {len(given.devices)} numbers, the fleet {types} entries.")
    return given.devices + (0,) * (types - len(given.devices))


def _number(number: int | None, sets: Sequence[WorkflowSet]) -> int:
    if number is None or number >= len(sets):
        raise ScenarioError(f"faults: set {number} does not exist; there are sets 0 to {len(sets) - 1}.")
    return number


def _types(given: Scenario, profile: Profile) -> list[DeviceType]:
    """The fleet's types; one unit is a device of the first, and speeds are those of the mix."""
    mix = {part.workflow: part for part in given.workflows}

    def seconds(device: str) -> float:
        return sum(share * cost(mix[name], name, profile, device, 1.0).solo_s for name, share in shares(given).items())

    unit_s = seconds(given.fleet[0].device)
    return [
        DeviceType(each.device, unit_s / seconds(each.device), each.price_per_hour, int(each.memory_gib * GIB))
        for each in given.fleet
    ]
