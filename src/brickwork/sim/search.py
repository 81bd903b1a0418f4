"""Searches for the extreme load or fleet that holds: few points, since a point may take a minute.

Points lie on a grid of whole numbers. From a guess the search goes in the direction of the answer in steps that double,
then halves: a guess that is off by n costs about 2 log2(n) points.

    does 20 hold? yes; 21? yes; 23? no; 22? yes   ->   22

It takes for granted that what holds at one point holds at every easier one. Near the limit, where one request more or
less decides, that is not strictly so; the answer then is a point that holds whose harder neighbour does not.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil, inf

from msgspec import structs

from brickwork.profile.table import Profile
from brickwork.sim.baselines.costs import cost, load_of
from brickwork.sim.baselines.verdict import Verdict
from brickwork.sim.points import Point
from brickwork.sim.scenario import Scenario
from brickwork.sim.streams import Draw

MAX_COUNTS = 12
"""Numbers of devices of one type, evenly spread, for which a mix with another type is looked for."""


def largest(holds: Callable[[int], bool], guess: int, low: int, high: int, step: int = 1) -> int | None:
    """The largest number in low..high that holds; None when `low` does not.

    step    of the first move away from `guess`
    """
    good, bad = low - 1, high + 1
    at = min(max(guess, low), high)
    while bad - good > 1:
        if holds(at):
            good = at
            at = min(high, at + step) if bad > high else (good + bad) // 2
        else:
            bad = at
            at = max(low, at - step) if good < low else (good + bad) // 2
        step *= 2
    return good if good >= low else None


def fewest_devices(
    given: Scenario, evaluates: Callable[[Scenario], Point], most: int, guess: int = 1
) -> tuple[int | None, list[tuple[int, Verdict]]]:
    """How few devices of the fleet's first type hold the load.

    returns    (devices or None when `most` do not hold, every number tried with its verdict)
    """
    tried: list[tuple[int, Verdict]] = []

    def holds(count: int) -> bool:
        found = evaluates(with_devices(given, count)).verdict
        tried.append((count, found))
        return found.holds

    found = largest(lambda negative: holds(-negative), -guess, -most, -1)
    return None if found is None else -found, tried


def cheapest_mix(
    given: Scenario, evaluates: Callable[[Scenario], Point], price: float, most: int
) -> tuple[Scenario, Verdict] | None:
    """The cheapest fleet of the scenario's two types of device that holds the load for less than `price` an hour.

    For each number of the first type, as many of the second as may be had for less than the best so far are tried; only
    if those hold, fewer. So a number at which nothing is to be gained costs one point.

    most       devices in all
    returns    (the scenario with that fleet, its verdict); None when there is none
    """
    first, second = given.fleet
    best: tuple[Scenario, Verdict] | None = None

    def holds(count: int, negative: int) -> bool:
        nonlocal best, price
        fleet = (structs.replace(first, count=count), structs.replace(second, count=-negative))
        trial = structs.replace(given, fleet=fleet)
        if found := (verdict := evaluates(trial).verdict).holds:
            best, price = (trial, verdict), price_per_hour(trial)
        return found

    def below(left: float, each: float) -> int:
        return ceil(left / each - 1e-9) - 1

    highest = min(most - 1, below(price - second.price_per_hour, first.price_per_hour))
    for count in range(1, highest + 1, max(1, ceil(highest / MAX_COUNTS))):
        others = min(most - count, below(price - count * first.price_per_hour, second.price_per_hour))
        if others >= 1:
            largest(partial(holds, count), -others, -others, -1)
    return best


def price_per_hour(given: Scenario) -> float:
    """Of the whole fleet."""
    return sum(each.count * each.price_per_hour for each in given.fleet)


def with_deadlines(given: Scenario, profile: Profile) -> Scenario:
    """The scenario with every workflow's deadline as it is on the fleet's first type of device, whatever the fleet
    becomes."""
    device = given.fleet[0].device
    parts = [
        structs.replace(part, deadline_s=part.deadline_s or cost(part, part.workflow, profile, device, 1.0).solo_s)
        for part in given.workflows
    ]
    return structs.replace(given, workflows=tuple(parts))


def with_devices(given: Scenario, count: int) -> Scenario:
    """The scenario on `count` devices of the fleet's first type alone."""
    return structs.replace(given, fleet=(structs.replace(given.fleet[0], count=count),))


def capacity_per_s(given: Scenario, profile: Profile, streams: Sequence[Sequence[Draw]]) -> float:
    """Requests per second at which the devices would be busy all the time, one request at a time."""
    load = load_of(given, profile, streams)
    seconds = [load.costs[job.kind].solo_s for jobs in load.seeds for job in jobs]
    devices = sum(each.count for each in given.fleet)
    return devices / (sum(seconds) / max(1, len(seconds))) if seconds else inf
