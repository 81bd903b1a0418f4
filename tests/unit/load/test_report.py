"""Goal: attainment, goodput and percentiles are what their definitions say.

Method: cases small enough to be computed by hand; the rule of when a load holds, at its edges.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork.core.request import Outcome
from brickwork.load.report import Figures, Sample, attainment, by_workflow, figures, holds, latency_s


def ok(latency: float, deadline: float | None = 1.0, workflow: str = "a") -> Sample:
    return Sample(workflow, Outcome.SUCCEEDED, latency, deadline)


def missed(outcome: Outcome | None, workflow: str = "a") -> Sample:
    return Sample(workflow, outcome, None if outcome is None else 0.1, 1.0)


def test_every_kind_of_end_is_counted_once() -> None:
    samples = [
        ok(0.2), ok(0.4), ok(1.0),  # the deadline itself is in time
        ok(1.6),
        missed(Outcome.REJECTED), missed(Outcome.REJECTED),
        missed(Outcome.FAILED), missed(Outcome.CANCELLED), missed(None),
        ok(7.0, deadline=None),
    ]  # fmt: skip
    assert figures(samples, seconds=8.0) == Figures(
        offered=10,
        attained=4,
        late=1,
        rejected=2,
        failed=3,
        attainment=0.4,
        goodput_per_s=0.5,
        latency_s_p50=1.0,  # of 0.2 0.4 1.0 1.6 7.0
        latency_s_p95=7.0,
        latency_s_p99=7.0,
    )


def test_without_requests_there_are_no_latencies() -> None:
    assert figures([], seconds=0.0) == Figures(0, 0, 0, 0, 0, 0.0, 0.0, None, None, None)
    assert latency_s([missed(Outcome.REJECTED)], 0.5) is None


def test_percentiles_are_latencies_that_occurred() -> None:
    samples = [ok(k / 100) for k in range(100, 0, -1)]
    assert [latency_s(samples, share) for share in (0.5, 0.95, 0.99, 1.0)] == [0.5, 0.95, 0.99, 1.0]
    assert latency_s(samples, 0.07) == 0.07  # 0.07 * 100 is 7.000000000000001
    assert latency_s(samples[:1], 0.01) == 1.0


@given(st.lists(st.floats(0.001, 100), min_size=1), st.floats(0.001, 1))
def test_a_percentile_has_its_share_at_or_below(latencies: list[float], share: float) -> None:
    at = latency_s([ok(latency) for latency in latencies], share)
    assert at in latencies
    assert sum(latency <= at for latency in latencies) >= share * len(latencies) - 1e-6
    assert sum(latency < at for latency in latencies) < share * len(latencies) + 1e-6


def test_workflows_are_told_apart() -> None:
    samples = [ok(0.1, workflow="b"), ok(0.2, workflow="a"), missed(Outcome.FAILED, workflow="b")]
    assert {name: len(own) for name, own in by_workflow(samples).items()} == {"b": 2, "a": 1}
    assert attainment(by_workflow(samples)["b"]) == 0.5


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"a": (90, 10)}, True),
        ({"a": (89, 11)}, False),
        ({"a": (180, 0), "b": (16, 4)}, True),  # b holds 80 %
        ({"a": (180, 0), "b": (15, 5)}, False),  # 97.5 % overall, but b pays for it
        ({"a": (180, 0), "b": (4, 15)}, True),  # 19 requests of b say nothing
        ({}, False),
    ],
)
def test_a_load_holds_overall_and_for_each_frequent_workflow(
    counts: dict[str, tuple[int, int]], expected: bool
) -> None:
    samples = [
        sample
        for name, (attained, rejected) in counts.items()
        for sample in [ok(0.5, workflow=name)] * attained + [missed(Outcome.REJECTED, name)] * rejected
    ]
    assert holds(samples) is expected
