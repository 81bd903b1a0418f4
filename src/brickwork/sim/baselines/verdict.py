"""Whether a load was held: the conventions of the experiments, over the pooled seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from brickwork.load.report import MIN_ATTAINMENT, MIN_WORKFLOW_ATTAINMENT, MIN_WORKFLOW_REQUESTS
from brickwork.sim.baselines.costs import Job, Load

Finishes = Sequence[float | None]
"""When each job of one seed finished; None: refused or dropped."""

Missed = Callable[[int], bool]
"""Told the number of a job that is missed; True when the point cannot hold any more, so that its run may stop."""


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


class Slack:
    """The misses that a point can still have, over all its seeds, before it cannot hold: the rule of `Verdict.holds`.

    The seed that runs tells its misses as they happen; once it is over its finishes count instead, so that a run need
    not tell all of them.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        counts = offered(load)
        self._kinds = [allowed_misses(n, MIN_WORKFLOW_ATTAINMENT) if n >= MIN_WORKFLOW_REQUESTS else n for n in counts]
        self._all = allowed_misses(sum(counts), MIN_ATTAINMENT)
        self._seed = 0
        self._missed = [0] * len(counts)  # of the seed that runs

    @property
    def is_spent(self) -> bool:
        """The point cannot hold, whatever comes."""
        return sum(self._missed) > self._all or any(
            missed > left for missed, left in zip(self._missed, self._kinds, strict=True)
        )

    def missed(self, number: int) -> bool:
        """A job of the seed that runs is missed. returns `is_spent`"""
        if not self._load.judged[self._seed][number]:
            return False
        self._missed[self._load.seeds[self._seed][number].kind] += 1
        return self.is_spent

    def seed_over(self, finishes: Finishes) -> None:
        """All finishes of the seed that ran; the next one begins."""
        jobs, judged = self._load.seeds[self._seed], self._load.judged[self._seed]
        missed = [0] * len(self._kinds)
        for job, counts, end_s in zip(jobs, judged, finishes, strict=True):
            missed[job.kind] += counts and (end_s is None or end_s > job.due_s)
        self._kinds = [left - m for left, m in zip(self._kinds, missed, strict=True)]
        self._all -= sum(missed)
        self._seed += 1
        self._missed = [0] * len(self._kinds)


def verdict_of_runs(load: Load, run: Callable[[Sequence[Job], Missed], Finishes], stops: bool) -> Verdict:
    """Run one seed after the other and judge them.

    run      (jobs of a seed, where to tell misses) -> finishes
    stops    leave off once the load cannot hold; what has not finished then counts as missed. The verdict is the same
             as without wherever it holds, and holds in the same cases.
    """
    slack = Slack(load)
    finishes: list[Finishes] = []
    for jobs in load.seeds:
        if stops and slack.is_spent:
            finishes.append([None] * len(jobs))
        else:
            finishes.append(run(jobs, slack.missed if stops else _unheard))
            slack.seed_over(finishes[-1])
    return verdict(load, finishes)


def allowed_misses(offered: int, share: float) -> int:
    """The most requests of `offered` that may be missed when `share` of them have to be met."""
    missed = int(offered * (1 - share)) + 1
    while missed > 0 and (offered - missed) / max(1, offered) < share:
        missed -= 1
    return missed


def _unheard(number: int) -> bool:
    return False


def offered(load: Load) -> list[int]:
    """Judged jobs by kind."""
    counts = [0] * len(load.costs)
    for jobs, judged in zip(load.seeds, load.judged, strict=True):
        for job, is_judged in zip(jobs, judged, strict=True):
            counts[job.kind] += is_judged
    return counts
