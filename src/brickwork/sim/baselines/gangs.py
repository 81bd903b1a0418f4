"""B4: every request's loop is shared by a fixed number of devices; or by the number that is best for its size.

All models are resident everywhere (which favours the baseline). A request takes `degree` devices together, whole, in
FIFO order; under common admission it is refused when it would be late. `monolith` is the same with a cold start: the
static pipelines of E5, whose gang of 8 is held from the first stage to the last.
"""

from collections.abc import Sequence

from brickwork.sim.baselines.costs import Cost, Job, Load
from brickwork.sim.baselines.verdict import Verdict, verdict


def gang_pool(
    jobs: Sequence[Job], costs: Sequence[Cost], devices: int, degrees: Sequence[int], admits: bool
) -> list[float | None]:
    """Finishes of one seed; `degrees` by kind. A gang begins when enough devices are free, and no later request passes
    one that waits."""
    free = [0.0] * devices
    run_s = [cost.at_degree_s(degree) for cost, degree in zip(costs, degrees, strict=True)]
    ends: list[float | None] = []
    for job in jobs:
        degree = degrees[job.kind]
        free.sort()
        start_s = max(job.at_s, free[degree - 1])
        end_s = start_s + run_s[job.kind]
        if end_s > job.due_s and (admits or start_s >= job.due_s):
            ends.append(None)
        else:
            free[:degree] = [end_s] * degree
            ends.append(end_s)
    return ends


def fixed_degree(load: Load, devices: int, degree: int, admits: bool) -> Verdict:
    """Every request at `degree`; where the table has no figure for one, at the largest degree below that it has."""
    degrees = [_at_most(cost, min(degree, devices)) for cost in load.costs]
    return verdict(load, [gang_pool(jobs, load.costs, devices, degrees, admits) for jobs in load.seeds])


def best_degrees(load: Load, devices: int, admits: bool) -> tuple[tuple[int, ...], Verdict]:
    """Each kind at a degree of its own: coordinate search from the degrees of least latency and from the least degree
    that meets each deadline alone, whichever ends better."""
    options = [[d for d in (1, 2, 4, 8) if d <= devices and cost.at_degree_s(d) < float("inf")] for cost in load.costs]
    fastest = [min(cost.best_degree, max(own)) for cost, own in zip(load.costs, options, strict=True)]
    least = [
        next((d for d in own if cost.at_degree_s(d) <= cost.slo_s), max(own))
        for cost, own in zip(load.costs, options, strict=True)
    ]
    found = [_climb(load, devices, admits, start, options) for start in (fastest, least)]
    return max(found, key=lambda each: each[1].score)


def _climb(
    load: Load, devices: int, admits: bool, start: list[int], options: list[list[int]]
) -> tuple[tuple[int, ...], Verdict]:
    """Change one kind's degree at a time while that makes the verdict better."""

    def judge(degrees: Sequence[int]) -> Verdict:
        return verdict(load, [gang_pool(jobs, load.costs, devices, degrees, admits) for jobs in load.seeds])

    degrees, best = list(start), judge(start)
    improves = True
    while improves:
        improves = False
        for kind, own in enumerate(options):
            for degree in own:
                trial = [*degrees[:kind], degree, *degrees[kind + 1 :]]
                if degree != degrees[kind] and (found := judge(trial)).score > best.score:
                    degrees, best, improves = trial, found, True
    return tuple(degrees), best


def _at_most(cost: Cost, degree: int) -> int:
    while degree > 1 and cost.at_degree_s(degree) == float("inf"):
        degree //= 2
    return degree
