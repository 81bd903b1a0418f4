"""What a run amounted to: attainment, goodput, latency. The same figures for simulated and for measured runs.

A request counts for the schedule only when its result came within its deadline: a refused one, a failed one and a late
one are missed alike. So attainment is a share of what was *offered*, and goodput counts nothing else. Latency is of the
successful requests, late ones included.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from brickwork.core.request import Outcome

MIN_ATTAINMENT = 0.9
"""Of all requests; a load that leaves less does not hold."""

MIN_WORKFLOW_ATTAINMENT = 0.8
"""Of each workflow: shedding the dear ones must not pay."""

MIN_WORKFLOW_REQUESTS = 20
"""Fewer say nothing about a workflow by itself."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One request and what became of it."""

    workflow: str
    outcome: Outcome | None  # None: it had not ended when the run was cut off
    latency_s: float | None  # from its arrival to its end; None: it had no end
    deadline_s: float | None  # after its arrival; None: it had none

    @property
    def is_attained(self) -> bool:
        """It succeeded, within its deadline if it has one."""
        on_time = self.deadline_s is None or (self.latency_s is not None and self.latency_s <= self.deadline_s)
        return self.outcome is Outcome.SUCCEEDED and on_time


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over some requests of a run."""

    offered: int
    attained: int
    late: int  # succeeded after their deadline, or stopped because they could not meet it
    rejected: int
    failed: int  # or cancelled, or never ended
    attainment: float  # attained / offered; 0 when nothing was offered
    goodput_per_s: float
    latency_s_p50: float | None  # of those that succeeded; None without any
    latency_s_p95: float | None
    latency_s_p99: float | None


def figures(samples: Sequence[Sample], seconds: float) -> Figures:
    """Sum up the requests that were offered within `seconds`."""
    attained = sum(sample.is_attained for sample in samples)
    succeeded = sum(sample.outcome is Outcome.SUCCEEDED for sample in samples)
    rejected = sum(sample.outcome is Outcome.REJECTED for sample in samples)
    expired = sum(sample.outcome is Outcome.EXPIRED for sample in samples)
    return Figures(
        offered=len(samples),
        attained=attained,
        late=succeeded - attained + expired,
        rejected=rejected,
        failed=len(samples) - succeeded - rejected - expired,
        attainment=attainment(samples),
        goodput_per_s=attained / seconds if seconds > 0 else 0.0,
        latency_s_p50=latency_s(samples, 0.5),
        latency_s_p95=latency_s(samples, 0.95),
        latency_s_p99=latency_s(samples, 0.99),
    )


def by_workflow(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """The requests of each workflow, in the order in which workflows first appear."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.workflow, []).append(sample)
    return found


def attainment(samples: Sequence[Sample]) -> float:
    """Share of the requests that were attained; 0 without any."""
    return sum(sample.is_attained for sample in samples) / max(1, len(samples))


def latency_s(samples: Sequence[Sample], share: float) -> float | None:
    """Latency that `share` (0 < share <= 1) of the successful requests did not exceed; None without any."""
    done = sorted(
        sample.latency_s for sample in samples if sample.outcome is Outcome.SUCCEEDED and sample.latency_s is not None
    )
    rank = ceil(round(share * len(done), 9))  # 0.07 * 100 is 7.000000000000001
    return done[rank - 1] if done else None


def holds(samples: Sequence[Sample]) -> bool:
    """Whether the load was carried: enough requests attained, of all together and of each frequent workflow."""
    return attainment(samples) >= MIN_ATTAINMENT and all(
        attainment(own) >= MIN_WORKFLOW_ATTAINMENT
        for own in by_workflow(samples).values()
        if len(own) >= MIN_WORKFLOW_REQUESTS
    )
