"""Goal: the cheapest mix of two types is found with few points, and one that is not cheaper is not looked for.

Method: devices that add up, with a load that holds when they are enough and enough of them are fast; every fleet that
could be cheaper is tried beside the search.
"""

from itertools import product

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from brickwork.sim.baselines.verdict import Verdict
from brickwork.sim.points import Point
from brickwork.sim.scenario import Devices, Scenario, parse
from brickwork.sim.search import MAX_COUNTS, cheapest_mix, price_per_hour, with_deadlines
from support.speeds import fast_and_slow

MOST = 20


def scenario(*devices: Devices) -> Scenario:
    fleet = ", ".join(f"{{device: {d.device}, count: {d.count}, price_per_hour: {d.price_per_hour}}}" for d in devices)
    return parse(
        f"""
        format: brickwork-scenario/1
        name: two types
        profile: h800
        fleet: [{fleet}]
        workflows: [{{workflow: sd3_t2i}}, {{workflow: sdxl_t2i, deadline_s: 7}}]
        arrivals: {{process: gamma, rate_per_s: 1}}
        """,
        Scenario,
    )


class Fleets:
    """Fleets that hold when they do `work`, a slow device half of what a fast one does, with `urgent` fast ones."""

    def __init__(self, work: float, urgent: int):
        self.work, self.urgent, self.tried = work, urgent, 0

    def holds(self, fast: int, slow: int) -> bool:
        return fast + slow / 2 >= self.work and fast >= self.urgent

    def evaluates(self, trial: Scenario) -> Point:
        self.tried += 1
        share = 1.0 if self.holds(*(devices.count for devices in trial.fleet)) else 0.0
        return Point(trial.policy, Verdict(share, (share,), {}, share), {})


@drawn(work=st.floats(0.1, 11.9), urgent=st.integers(0, 5), price=st.floats(0.2, 0.9))
def test_no_cheaper_mix_is_missed(work: float, urgent: int, price: float) -> None:
    fleets, prices = Fleets(work, urgent), (1.0, price)
    alone = [n * prices[kind] for kind in (0, 1) for n in range(1, MOST + 1) if fleets.holds(*((n, 0), (0, n))[kind])]
    limit = min(alone)
    mixes = [(a, b) for a, b in product(range(1, MOST), repeat=2) if a + b <= MOST and fleets.holds(a, b)]
    cheapest = min((a + b * price for a, b in mixes), default=limit)
    found = cheapest_mix(
        scenario(Devices("h800", 1, 1, 1.0), Devices("slow", 1, 1, price)), fleets.evaluates, limit, MOST
    )
    if found is None:
        assert cheapest >= limit - 1e-6
    else:
        assert price_per_hour(found[0]) == pytest.approx(cheapest) and cheapest < limit and found[1].holds


def test_nothing_to_gain_costs_a_point_for_each_number() -> None:
    """600 fast ones, or 1,200 slow ones at half the price: no mix is cheaper."""
    fleets = Fleets(600.0, 0)
    given = scenario(Devices("h800", 1, 1, 1.0), Devices("slow", 1, 1, 0.5))
    assert cheapest_mix(given, fleets.evaluates, 600.0, 2_000) is None
    assert fleets.tried <= MAX_COUNTS


def test_deadlines_are_those_of_the_first_type_on_every_fleet() -> None:
    profile = fast_and_slow(2.0)
    fast, slow = Devices("h800", 1), Devices("slow", 1)
    ours, other = (with_deadlines(scenario(*fleet), profile).workflows for fleet in ((fast, slow), (slow, fast)))
    assert ours[0].deadline_s == pytest.approx(other[0].deadline_s / 2)
    assert ours[1].deadline_s == other[1].deadline_s == 7
