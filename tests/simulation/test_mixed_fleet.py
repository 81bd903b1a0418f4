"""Goal: where a fleet has fast and slow devices, requests are accepted by what both can do: nothing is refused that a
fast one has in time, and nearly everything that is accepted is in time.

Method: simulated H800, and the same at half the speed. Slow ones are the most, so that work is counted in their
seconds. Deadlines are multiples of what a request takes alone on a fast one.
"""

import pytest

from brickwork.control.machine import Control
from brickwork.core.ids import RequestId
from brickwork.core.request import SLO, Request
from brickwork.profile.table import Profile
from brickwork.sim.cluster import Cluster, Slot
from brickwork.sim.points import evaluate, streams_of
from brickwork.sim.published import GIB, plan, recipe, values
from brickwork.sim.runs import Run
from brickwork.sim.scenario import Scenario, parse
from brickwork.sim.workload import Arrival
from support.speeds import fast_and_slow

SLOWER = 2.0

MIXED = """
format: brickwork-scenario/1
name: mixed
profile: h800
fleet: [{device: h800, count: 2}, {device: slow, count: 6}]
workflows:
  - {workflow: sd3_t2i, share: 40}
  - {workflow: sd3_controlnet_canny, share: 20}
  - {workflow: sdxl_t2i, share: 25}
  - {workflow: flux_schnell_t2i, share: 15}
arrivals: {process: gamma, rate_per_s: 0.875}
requests: 400
slo_scale: 2.5
seeds: [1, 2]
"""


@pytest.fixture(scope="module")
def speeds() -> Profile:
    return fast_and_slow(SLOWER)


def second_of_two(speeds: Profile, deadline_s: float) -> Run:
    """On one fast and three slow devices: the first request brings the models, the other comes when all is idle."""
    what = recipe("sd3_t2i")
    cluster = Cluster(Control(speeds), speeds, checks=True)
    for number, device in enumerate(["slow", "h800", "slow", "slow"]):
        cluster.add(Slot(f"d{number}", 60 * GIB, device, max_degree=1))
    for number, (time_s, slo) in enumerate([(0.0, SLO()), (60.0, SLO(deadline_s))]):
        request = Request(RequestId(f"r-{number}"), what.name, values(what), slo)
        cluster.submit(Arrival(time_s, request, plan(what)))
    return list(cluster.run().runs)[1]


def alone_s(speeds: Profile) -> float:
    """What the request takes on the fast device."""
    latency_s = second_of_two(speeds, 1e3).latency_s
    assert latency_s is not None
    return latency_s


def test_what_only_a_fast_device_has_in_time_is_accepted(speeds: Profile) -> None:
    fast_s = alone_s(speeds)
    run = second_of_two(speeds, 0.75 * SLOWER * fast_s)
    assert run.is_attained and run.predicted_finish_s == pytest.approx(60.0 + fast_s, rel=0.02)


def test_what_no_device_has_in_time_is_refused(speeds: Profile) -> None:
    run = second_of_two(speeds, 0.75 * alone_s(speeds))
    assert run.predicted_finish_s is None and "the request alone takes" in run.error


def test_a_mixed_fleet_is_used_and_keeps_its_word(speeds: Profile) -> None:
    """With every device counted as a slow one, 92.5 % were served."""
    given = parse(MIXED, Scenario)
    point = evaluate(given, speeds, streams_of(given))
    accepted = [run for report in point.reports for run in report.runs if run.predicted_finish_s is not None]
    assert point.verdict.attainment >= 0.94
    assert sum(run.is_attained for run in accepted) >= 0.99 * len(accepted)
