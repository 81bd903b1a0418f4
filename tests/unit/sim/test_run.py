"""Goal: a scenario runs as it reads: its requests and no others are counted, on a fleet that has run before.

Method: small scenarios on published times, with State.check() after every event; latencies against the additive sum.
"""

from typing import Any

import pytest

from brickwork.core.request import Outcome
from brickwork.sim.baselines.costs import cost
from brickwork.sim.points import evaluate, streams_of
from brickwork.sim.run import WARM, Watch, policies_of, profile_of, simulate
from brickwork.sim.scenario import Scenario, ScenarioError, convert
from brickwork.sim.search import fewest_devices
from brickwork.sim.streams import draws, shares


def scenario(**changes: Any) -> Scenario:
    given = {
        "format": "brickwork-scenario/1",
        "name": "small",
        "fleet": [{"device": "h800", "count": 2}],
        "workflows": [{"workflow": "sd3_t2i", "share": 3}, {"workflow": "sdxl_t2i", "share": 1}],
        "arrivals": {"process": "gamma", "rate_per_s": 0.05},
        "requests": 20,
    }
    return convert(given | changes, Scenario)


def test_a_lone_request_takes_what_its_calls_take_on_a_warm_fleet() -> None:
    """Links, and models that its device may still lack, come on top: well below the 2.5 s of loading everything."""
    given = scenario(workflows=[{"workflow": "sd3_t2i"}])
    profile, stream = profile_of(given), draws(given, 1)
    report = simulate(given, profile, stream, 1, Watch(checks=True))
    solo_s = cost(given.workflows[0], "sd3_t2i", profile, "h800", 2.0).solo_s
    assert len(report.runs) == 20 and not any(run.request_id.startswith(WARM) for run in report.runs)
    latencies = sorted(run.latency_s for run in report.runs if run.latency_s is not None)
    assert latencies[10] <= solo_s + 0.05
    assert report.leaked == 0


def test_draws_of_all_rates_share_their_random_numbers() -> None:
    slow, fast = (draws(scenario(arrivals={"process": "gamma", "rate_per_s": rate}), 3) for rate in (1.0, 4.0))
    assert [draw.workflow for draw in slow] == [draw.workflow for draw in fast]
    assert [draw.time_s for draw in slow] == pytest.approx([4 * draw.time_s for draw in fast])


def test_spikes_multiply_the_rate_of_one_workflow_inside_windows() -> None:
    arrivals = {"process": "spikes", "rate_per_s": 1.0, "height": 40, "every_s": 100, "length_s": 10, "of": "one"}
    given = scenario(arrivals=arrivals, requests=None, seconds=2000)
    inside = [draw for draw in draws(given, 1) if draw.is_in_spike]
    outside = [draw for draw in draws(given, 1) if not draw.is_in_spike]
    assert len(outside) == pytest.approx(1800, rel=0.1)
    assert all(50 <= draw.time_s % 100 < 60 for draw in inside)
    rates = {"sd3_t2i": 30.0, "sdxl_t2i": 10.0}  # of its own: 0.75 and 0.25 a second; each spikes in half of 20 windows
    for name, rate in rates.items():
        assert sum(draw.workflow == name for draw in inside) == pytest.approx(100 * rate, rel=0.15)


def test_shares_follow_the_list_or_its_ranks() -> None:
    assert shares(scenario()) == {"sd3_t2i": 0.75, "sdxl_t2i": 0.25}
    assert shares(scenario(zipf=1.0)) == pytest.approx({"sd3_t2i": 2 / 3, "sdxl_t2i": 1 / 3})
    assert set(shares(scenario(zipf=1.0, order=2))) == {"sd3_t2i", "sdxl_t2i"}


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "crash", "at_s": 50, "device": 0, "back_after_s": 5},
        {"kind": "slow", "at_s": 20, "device": 1, "factor": 3, "for_s": 100},
        {"kind": "messages", "lost": 0.05, "late": 0.05, "repeated": 0.1},
        {"kind": "coordinator", "at_s": 60, "back_after_s": 3},
        {"kind": "partition", "at_s": 40, "devices": [0, 1], "for_s": 10},
    ],
    ids=lambda fault: fault["kind"],
)
def test_whatever_goes_wrong_every_accepted_request_ends_once_and_nothing_leaks(fault: dict[str, Any]) -> None:
    given = scenario(faults=[fault], arrivals={"process": "gamma", "rate_per_s": 0.4}, requests=60)
    report = simulate(given, profile_of(given), draws(given, 1), 1, Watch(checks=True))
    assert report.outcomes["unfinished"] == 0 and report.leaked == 0
    assert report.outcomes[Outcome.FAILED] == 0


def test_the_smallest_fleet_is_found() -> None:
    given = scenario(policy="fifo-pool", arrivals={"process": "gamma", "rate_per_s": 1.0}, requests=300)
    profile, streams = profile_of(given), streams_of(given)
    count, tried = fewest_devices(given, lambda trial: evaluate(trial, profile, streams), 32)
    holds = {n: found.holds for n, found in tried}
    assert count is not None and holds[count] and not holds[count - 1]


def test_unknown_policies_are_named_with_those_there_are() -> None:
    with pytest.raises(ScenarioError, match="brickwork:no-batching"):
        policies_of("brickwork:no-thinking")
