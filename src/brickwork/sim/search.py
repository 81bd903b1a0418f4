"""Searches for the extreme load or fleet that holds: few points, since a point may take a minute.

Points lie on a grid of whole numbers. From a guess the search goes in the direction of the answer in steps that double,
then halves: a guess that is off by n costs about 2 log2(n) points.

    does 20 hold? yes; 21? yes; 23? no; 22? yes   ->   22

It takes for granted that what holds at one point holds at every easier one. Near the limit, where one request more or
less decides, that is not strictly so; the answer then is a point that holds whose harder neighbour does not.
"""

from collections.abc import Callable, Sequence
from math import inf

from msgspec import structs

from brickwork.profile.table import Profile
from brickwork.sim.baselines.costs import load_of
from brickwork.sim.baselines.verdict import Verdict
from brickwork.sim.points import Point
from brickwork.sim.scenario import Scenario
from brickwork.sim.streams import Draw


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


def with_devices(given: Scenario, count: int) -> Scenario:
    """The scenario on `count` devices of the fleet's first type alone."""
    return structs.replace(given, fleet=(structs.replace(given.fleet[0], count=count),))


def capacity_per_s(given: Scenario, profile: Profile, streams: Sequence[Sequence[Draw]]) -> float:
    """Requests per second at which the devices would be busy all the time, one request at a time."""
    load = load_of(given, profile, streams)
    seconds = [load.costs[job.kind].solo_s for jobs in load.seeds for job in jobs]
    devices = sum(each.count for each in given.fleet)
    return devices / (sum(seconds) / max(1, len(seconds))) if seconds else inf
