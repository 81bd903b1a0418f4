"""Goal: requests reach a set that serves them and all end there, while executors move, start, stop and crash.

Method: small scenarios of two sets on published times, every State checked after every event; then drawn ones.
"""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec import structs

from brickwork.core.request import Outcome
from brickwork.node_manager.policy import Move, Start, Stop
from brickwork.sim.managed import sets_of
from brickwork.sim.points import evaluate, streams_of
from brickwork.sim.report import Report
from brickwork.sim.run import Watch, profile_of, simulate
from brickwork.sim.scenario import Scenario, ScenarioError, convert
from brickwork.sim.streams import draws

DAY_S = 600.0


def scenario(**changes: Any) -> Scenario:
    """Two sets whose loads take turns: one has its peak where the other has nothing to do."""
    given = {
        "format": "brickwork-scenario/1",
        "name": "two sets",
        "fleet": [{"device": "h800", "count": 4, "start_s": 5.0}],
        "sets": [
            {"name": "small", "workflows": ["sd3_t2i"], "devices": [2]},
            {"name": "large", "workflows": ["sd35_large_t2i"], "devices": [2]},
        ],
        "node_manager": {"every_s": 5.0, "cool_down_s": 20.0, "idle_s": 100.0},
        "workflows": [
            {"workflow": "sd3_t2i", "share": 3},
            {"workflow": "sd35_large_t2i", "share": 1, "day_shift": 0.5},
        ],
        "arrivals": {"process": "diurnal", "rate_per_s": 0.5, "day_s": DAY_S, "by_hour": [1, 3, 1, 0, 0, 0]},
        "seconds": DAY_S,
        "slo_scale": 5.0,
    }
    return convert(given | changes, Scenario)


def run(given: Scenario, seed: int = 1, checks: bool = True) -> Report:
    return simulate(given, profile_of(given), draws(given, seed), seed, Watch(checks=checks, logs=True))


def check_ends(given: Scenario, report: Report) -> None:
    assert all(run.outcome is not None for run in report.runs), "a request never ended"
    assert report.leaked == 0
    assert report.reserved_s <= sum(each.count for each in given.fleet) * report.ended_s + 1e-6


def test_executors_follow_the_load_and_the_same_seed_gives_the_same_history() -> None:
    given = scenario()
    report = run(given)
    check_ends(given, report)
    kinds = {type(order) for _, order in report.orders}
    assert kinds >= {Start, Stop} and report.attainment > 0.5
    assert run(given, checks=False).log_digest == report.log_digest
    fixed = run(scenario(node_manager=None), checks=False)
    assert report.reserved_s < fixed.reserved_s and report.attainment > fixed.attainment


def test_a_fleet_that_is_given_out_is_moved_between_the_sets() -> None:
    """A set that needs what another has no use for gets it, though nothing can be started."""
    given = scenario(
        fleet=[{"device": "h800", "count": 4}],
        arrivals={"process": "diurnal", "rate_per_s": 0.9, "day_s": 1200.0, "by_hour": [1.0, 0.1]},
        seconds=1200.0,
        node_manager={"every_s": 5.0, "cool_down_s": 20.0, "idle_s": 3600.0},
    )
    report = run(given)
    check_ends(given, report)
    moves = [order for _, order in report.orders if isinstance(order, Move)]
    assert {(move.source, move.target) for move in moves} >= {("large", "small")}


def test_a_set_without_work_keeps_nothing_and_the_next_request_starts_one() -> None:
    """Requests of 2 s with 20 s of time, each some 400 s after the last: one device, for a fifth of the time."""
    given = scenario(
        fleet=[{"device": "h800", "count": 1, "start_s": 5.0}],
        sets=[{"name": "all"}],
        workflows=[{"workflow": "sd3_t2i"}],
        arrivals={"process": "gamma", "rate_per_s": 0.0025, "cv": 0.05},
        requests=6,
        seconds=None,
        node_manager={"every_s": 5.0, "cool_down_s": 10.0, "idle_s": 50.0},
    )
    report = run(given)
    check_ends(given, report)
    orders = [type(order) for _, order in report.orders]
    assert orders.count(Start) >= 5 and all(a is not b for a, b in pairwise(orders)), "starts and stops take turns"
    assert report.reserved_s < 0.5 * report.ended_s


def test_crashes_and_a_lost_coordinator_while_executors_move() -> None:
    given = scenario(
        faults=[
            {"kind": "crash", "at_s": 200, "device": 0, "back_after_s": 10},
            {"kind": "crash", "at_s": 250, "device": 3},
            {"kind": "coordinator", "at_s": 320, "back_after_s": 15, "set": 0},
            {"kind": "coordinator", "at_s": 500, "back_after_s": 15, "set": 1},
            {"kind": "partition", "at_s": 700, "devices": [0, 1], "for_s": 20},
            {"kind": "messages", "lost": 0.02, "repeated": 0.05, "late": 0.05},
        ]
    )
    report = run(given)
    check_ends(given, report)
    assert report.outcomes[str(Outcome.SUCCEEDED)] > len(report.runs) / 3


times_s = st.floats(0.0, 300.0)
troubles = st.one_of(
    st.builds(
        lambda at_s, device, back_after_s: {
            "kind": "crash",
            "at_s": at_s,
            "device": device,
            "back_after_s": back_after_s,
        },
        times_s,
        st.integers(0, 3),
        st.one_of(st.none(), st.floats(0.1, 60.0)),
    ),
    st.builds(
        lambda at_s, back_after_s, set: {"kind": "coordinator", "at_s": at_s, "back_after_s": back_after_s, "set": set},
        times_s,
        st.floats(0.1, 60.0),
        st.integers(0, 1),
    ),
)


@given(
    faults=st.lists(troubles, max_size=5),
    counts=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    start_s=st.floats(0.0, 40.0),
    cool_down_s=st.floats(0.0, 30.0),
    idle_s=st.floats(0.0, 60.0),
    seed=st.integers(0, 1000),
)
@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_whatever_happens_every_request_ends(
    faults: list[dict[str, Any]],
    counts: tuple[int, int],
    start_s: float,
    cool_down_s: float,
    idle_s: float,
    seed: int,
) -> None:
    sets = [
        {"name": "small", "workflows": ["sd3_t2i"], "devices": [counts[0]]},
        {"name": "large", "devices": [counts[1]]},
    ]
    given = scenario(
        fleet=[{"device": "h800", "count": 4, "start_s": start_s}],
        sets=sets,
        node_manager={"every_s": 5.0, "cool_down_s": cool_down_s, "idle_s": idle_s},
        arrivals={"process": "diurnal", "rate_per_s": 0.2, "day_s": 100.0, "by_hour": [1, 0, 0]},
        seconds=None,
        requests=30,
        faults=faults,
    )
    check_ends(given, run(given, seed))


def test_what_the_sets_say_has_to_fit() -> None:
    with pytest.raises(ScenarioError, match="workflow 'sdxl_t2i' is not in the mix: sd3_t2i, sd35_large_t2i"):
        sets_of(scenario(sets=[{"name": "a", "workflows": ["sdxl_t2i"]}]))
    with pytest.raises(ScenarioError, match="no set serves 'sd35_large_t2i'"):
        sets_of(scenario(sets=[{"name": "a", "workflows": ["sd3_t2i"]}]))
    with pytest.raises(ScenarioError, match="5 devices h800 are given out, and the fleet has 4"):
        sets_of(scenario(sets=[{"name": "a", "devices": [5]}]))
    with pytest.raises(ScenarioError, match="two have the same name"):
        sets_of(scenario(sets=[{"name": "a"}, {"name": "a"}]))
    with pytest.raises(ScenarioError, match="set 2 does not exist"):
        run(scenario(faults=[{"kind": "coordinator", "at_s": 1, "back_after_s": 1, "set": 2}]))
    with pytest.raises(ScenarioError, match="policy B0 has one fixed fleet"):
        given = scenario(policy="B0")
        evaluate(given, profile_of(given), streams_of(given))


def test_a_set_scaled_to_zero_starts_an_executor_for_a_request_that_can_wait_for_it() -> None:
    """Requests an hour apart: nothing is held between them, and all are in time. Who cannot wait is refused."""
    given = scenario(
        fleet=[{"device": "h800", "count": 2, "start_s": 5.0}],
        sets=[],
        node_manager={"every_s": 5.0, "cool_down_s": 20.0, "idle_s": 60.0},
        workflows=[{"workflow": "sd3_t2i", "share": 1}],
        arrivals={"process": "gamma", "rate_per_s": 1 / 3600, "cv": 0.1},
        seconds=3600.0 * 8,
    )
    report = run(given)
    check_ends(given, report)
    assert {run.outcome for run in report.runs} == {Outcome.SUCCEEDED}
    assert report.reserved_s < 0.1 * report.ended_s

    hasty = run(structs.replace(given, slo_scale=1.2))
    assert {run.outcome for run in hasty.runs} == {Outcome.REJECTED}
