"""Whether a load was held: the conventions of the experiments, over the pooled seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

from brickwork.load.report import MIN_ATTAINMENT, MIN_WORKFLOW_ATTAINMENT, MIN_WORKFLOW_REQUESTS
from brickwork.sim.baselines.costs import Load

Finishes = Sequence[float | None]
"""When each job of one seed finished; None: refused or dropped."""


@dataclass(frozen=True, slots=True)
class Verdict:
    attainment: float  # pooled
    by_seed: tuple[float, ...]
    by_workflow: dict[str, float]  # of those with enough requests
    weighted: float  # attainment weighted by the device seconds of each request alone

    @property
    def worst(self) -> float:
        return min(self.by_workflow.values(), default=1.0)

    @property
    def holds(self) -> bool:
        return self.attainment >= MIN_ATTAINMENT and self.worst >= MIN_WORKFLOW_ATTAINMENT

    @property
    def score(self) -> tuple[float, float]:
        """For searches: first the shortfall from holding, then attainment."""
        short = max(0.0, MIN_ATTAINMENT - self.attainment) + max(0.0, MIN_WORKFLOW_ATTAINMENT - self.worst)
        return (-short, self.attainment)


def verdict(load: Load, finishes: Sequence[Finishes]) -> Verdict:
    """Judge a run of all seeds. `finishes` has an entry for every job of every seed."""
    met = [0] * len(load.costs)
    offered = [0] * len(load.costs)
    by_seed = []
    for jobs, judged, ends in zip(load.seeds, load.judged, finishes, strict=True):
        seed_met = seed_offered = 0
        for job, counts, end_s in zip(jobs, judged, ends, strict=True):
            if counts:
                offered[job.kind] += 1
                seed_offered += 1
                if end_s is not None and end_s <= job.due_s:
                    met[job.kind] += 1
                    seed_met += 1
        by_seed.append(seed_met / max(1, seed_offered))
    return verdict_of_counts(load, met, offered, tuple(by_seed))


def verdict_of_counts(load: Load, met: list[int], offered: list[int], by_seed: tuple[float, ...] = ()) -> Verdict:
    """Judge sums by workflow."""
    work = [cost.solo_s for cost in load.costs]
    return Verdict(
        attainment=sum(met) / max(1, sum(offered)),
        by_seed=by_seed,
        by_workflow={
            cost.name: m / n for cost, m, n in zip(load.costs, met, offered, strict=True) if n >= MIN_WORKFLOW_REQUESTS
        },
        weighted=sum(m * w for m, w in zip(met, work, strict=True))
        / max(1e-12, sum(n * w for n, w in zip(offered, work, strict=True))),
    )
