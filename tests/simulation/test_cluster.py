"""Goal: the same Control that serves people brings every simulated request to its end, shares models, keeps budgets.

Method: small clusters with seeded arrivals and faults; State.check() runs after every event, virtual executors assert
their budgets, a ledger counts tensors. A failing test prints its seed as its parameter.
"""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from brickwork.control.machine import Control
from brickwork.core.request import Outcome
from brickwork.sim.cluster import Cluster, Slot
from brickwork.sim.faults import Crash, crash_storm
from brickwork.sim.workload import Arrival, gamma, poisson
from support.plans import MIB, chain, fork, profile, redraw, request
from support.scenes import kind, simulate

MIX = [
    kind(chain(), steps=8, weight=2.0),
    kind(chain("shares-ends", dit="dit2")),
    kind(fork(), deadline_s=2.0),
    kind(redraw(), deterministic=True),
]


@pytest.mark.parametrize("seed", range(4))
def test_every_request_ends_and_nothing_leaks(seed: int) -> None:
    report, cluster = simulate(gamma(MIX, 12.0, 150, seed, variation=3.0), executors=3, mib=3, seed=seed)
    assert report.outcomes["unfinished"] == 0
    assert report.outcomes["failed"] == 0
    assert report.leaked == 0
    assert not cluster.control.state.batches


@pytest.mark.parametrize("seed", range(4))
def test_a_crash_storm_ends_well(seed: int) -> None:
    """20 crashes of two executors while 50 requests run; each comes back after 0.2 s."""
    arrivals = poisson([kind(chain(), steps=8), kind(redraw(), deterministic=True)], 10.0, 50, seed)
    crashes = crash_storm(["e1", "e2"], 20, arrivals[-1].time_s, rejoin_after_s=0.2, seed=seed)
    report, _ = simulate(arrivals, crashes=crashes, seed=seed)
    assert report.crashes >= 10  # some hit a slot that is down already
    assert report.outcomes == {"succeeded": 50}
    assert report.leaked == 0


@given(
    seed=st.integers(0, 10**6),
    executors=st.integers(1, 4),
    mib=st.sampled_from([1.5, 2.5, 8.0]),
    noise=st.sampled_from([0.0, 0.05, 0.5]),
    crashes=st.integers(0, 10),
)
@example(seed=15824, executors=4, mib=1.5, noise=0.5, crashes=9)  # a leader dies while it loads and its helper waits
@settings(max_examples=25)
def test_any_small_cluster_ends(seed: int, executors: int, mib: float, noise: float, crashes: int) -> None:
    arrivals = gamma(MIX, 20.0, 30, seed, variation=2.0)
    storm = crash_storm([f"e{k + 1}" for k in range(executors)], crashes, 2.0, rejoin_after_s=0.3, seed=seed)
    report, _ = simulate(arrivals, executors, mib, storm, seed, noise)
    assert report.outcomes["unfinished"] == 0
    assert report.leaked == 0


def test_two_workflows_load_what_they_share_once() -> None:
    """One executor, requests far apart: four models in two workflows of three are loaded once each."""
    plans = [chain(), chain("shares-ends", dit="dit2")]
    arrivals = [Arrival(0.5 * k, request(f"r-{k}"), plans[k % 2]) for k in range(8)]
    report, _ = simulate(arrivals, executors=1)
    assert report.loads == {"text": 1, "dit": 1, "dit2": 1, "vae": 1}


def test_a_replica_is_added_when_that_is_cheaper_than_waiting() -> None:
    """A burst meets one warm executor and one idle one: cheap loads are repeated there, dear ones are not."""
    loads = {}
    for name, load_s in (("cheap", 0.01), ("dear", 5.0)):
        cluster = Cluster(Control(profile(load_s)), profile(load_s), checks=True)
        for number in (1, 2):
            cluster.add(Slot(f"e{number}", 8 * MIB))
        for number, time_s in enumerate((0.0, 20.0, 20.001, 20.002)):
            cluster.submit(Arrival(time_s, request(f"r-{number}", steps=8), chain()))
        loads[name] = cluster.run().loads["dit"]
    assert loads == {"cheap": 2, "dear": 1}


def test_deterministic_requests_never_share_a_batch() -> None:
    arrivals = [Arrival(0.001 * k, request(f"r-{k}", deterministic=k % 2 == 0), chain()) for k in range(20)]
    _, cluster = simulate(arrivals, executors=1)
    stories = {f"r-{k}": cluster.control.story(request(f"r-{k}").id) for k in range(20)}
    shared = {name for name, story in stories.items() if any("Dispatch" in line and ", r-" in line for line in story)}
    assert shared and all(int(name[2:]) % 2 for name in shared)


def test_batching_serves_a_burst_faster_than_one_by_one() -> None:
    """40 requests at once on one executor: 1 + 8 * 10 + 8 ms each, one by one, would take 3.6 s."""
    report, _ = simulate([Arrival(0.0, request(f"r-{k}", steps=8), chain()) for k in range(40)], executors=1, noise=0)
    latest_s = report.latency_s(1.0)
    assert latest_s is not None and latest_s < 2.0
    assert max(report.batch_sizes) > 8


def test_rows_with_fewer_steps_leave_their_batch_early() -> None:
    """A long request holds the executor; two and six steps join it as they come, and end apart."""
    arrivals = [Arrival(0.0, request("r-0", steps=20), redraw())]
    arrivals += [Arrival(0.001 * k, request(f"r-{k}", steps=steps), redraw()) for k, steps in ((1, 2), (2, 6))]
    report, cluster = simulate(arrivals, executors=1, noise=0)
    runs = report.runs.by_id()
    short, long = (runs[request(f"r-{k}").id] for k in (1, 2))
    assert report.joins == 2
    assert short.finished_s is not None and long.finished_s is not None and short.finished_s < long.finished_s
    reported = [line for line in cluster.control.story(request("r-1").id) if "denoise dispatched -> done" in line]
    assert float(reported[0].split()[0]) < long.finished_s - 4 * 0.010


def test_overload_refuses_instead_of_missing_deadlines() -> None:
    """Four times what two executors can do: what is accepted is mostly in time, the rest is refused with a hint."""
    arrivals = poisson([kind(chain(), steps=16, deadline_s=1.0)], 4 * 2 / 0.17, 400, seed=3)
    report, _ = simulate(arrivals)
    outcomes = report.outcomes
    assert outcomes["rejected"] > 50 and outcomes["succeeded"] > 50
    on_time = sum(run.is_attained for run in report.runs)
    assert on_time >= 0.95 * outcomes["succeeded"]


def test_wrong_beliefs_are_corrected() -> None:
    """The executors are three times slower than the profile says: predictions of later requests take it in."""
    truth = profile()
    slow = {
        key: {shape: type(call)(type(call.seconds)(tuple((r, 3 * s) for r, s in call.seconds.points)))}
        for key, shapes in truth.devices["cpu-1"].calls.items()
        for shape, call in shapes.items()
    }
    device = type(truth.devices["cpu-1"])(slow, 0.0, truth.devices["cpu-1"].load_bytes_per_s)
    arrivals = [Arrival(2.0 * k, request(f"r-{k}", steps=8), chain()) for k in range(6)]
    report, _ = simulate(arrivals, executors=1, noise=0, truth=type(truth)({"cpu-1": device}))
    errors = [
        run.predicted_finish_s - run.finished_s
        for run in report.runs
        if run.predicted_finish_s is not None and run.finished_s is not None
    ]
    assert abs(errors[0]) > 0.1
    assert abs(errors[-1]) < 0.01


def test_a_slot_that_never_comes_back_fails_what_only_it_could_hold() -> None:
    arrivals = [Arrival(1.0, request("r-1"), chain(mib=3)), Arrival(1.0, request("r-2"), redraw())]
    cluster = Cluster(Control(profile()), profile(), checks=True)
    cluster.add(Slot("large", 8 * MIB))
    cluster.add(Slot("small", 2 * MIB))
    cluster.schedule(Crash(0.5, "large", rejoin_after_s=None))
    for arrival in arrivals:
        cluster.submit(arrival)
    report = cluster.run()
    runs = report.runs.by_id()
    assert runs[request("r-1").id].outcome is Outcome.FAILED
    assert runs[request("r-2").id].outcome is Outcome.SUCCEEDED
    assert report.leaked == 0
