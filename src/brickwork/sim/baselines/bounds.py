"""Bounds: what nothing can exceed, and what a clairvoyant pool reaches.

*fluid*    requests are divisible and known beforehand: only their least work has to fit into the time that there is.
           A proof that no policy holds more, where holding includes the floor of every workflow.
*ideal*    all models resident everywhere, no transfer, no control: earliest deadline first with pre-emption, one or two
           devices for a request (its guidance rows apart), and the dearest requests shed when not all fit
*ideal2*   the same on one or two searched sub-clusters, each of whose models fit one device
"""

from collections.abc import Callable, Sequence
from itertools import combinations

from brickwork.load.report import MIN_WORKFLOW_ATTAINMENT
from brickwork.sim.baselines.costs import GIB, WEIGHTS_GIB, Cost, Job, Load
from brickwork.sim.baselines.pools import edf_pool
from brickwork.sim.baselines.preemptive import Work, preemptive_pool
from brickwork.sim.baselines.verdict import Verdict, verdict, verdict_of_counts

TRIED = 3
"""Splits into sub-clusters that are judged with pre-emption."""

Pool = Callable[[Sequence[Job], int], list[float | None]]
"""(jobs of one seed, devices) -> when each ends."""


def fluid(load: Load, devices: int) -> Verdict:
    """What holds by work alone: over the whole run every workflow gets its floor, and the rest goes to the cheapest
    requests first.

    The devices' time is that from the first arrival to the last deadline; a request costs the least device seconds that
    the table has for it, in any batch. No policy does better, whatever it knows.
    """
    met, offered = [0] * len(load.costs), [0] * len(load.costs)
    by_seed = []
    for jobs, judged in zip(load.seeds, load.judged, strict=True):
        seconds = devices * (max(job.due_s for job in jobs) - jobs[0].at_s) if jobs else 0.0
        counts = [0] * len(load.costs)
        for job, counted in zip(jobs, judged, strict=True):
            counts[job.kind] += counted
        own = _cheapest(load.costs, counts, seconds)
        by_seed.append(sum(own) / max(1, sum(counts)))
        for kind, count in enumerate(counts):
            met[kind] += own[kind]
            offered[kind] += count
    return verdict_of_counts(load, met, offered, tuple(by_seed))


def _cheapest(costs: Sequence[Cost], counts: list[int], seconds: float) -> list[int]:
    """How many of each kind are met: floors first, then the cheapest."""
    met = [0] * len(costs)
    for share in (MIN_WORKFLOW_ATTAINMENT, 1.0):
        for kind in sorted(range(len(costs)), key=lambda kind: costs[kind].least_work_s):
            wanted = round(share * counts[kind] + 0.4999) - met[kind]
            took = min(wanted, int(seconds / costs[kind].least_work_s))
            met[kind] += max(0, took)
            seconds -= max(0, took) * costs[kind].least_work_s
    return met


def works_of(load: Load) -> list[Work]:
    """Seconds of every kind alone, and the speed-up of two devices: each takes a row of guidance in every step."""
    works = []
    for cost in load.costs:
        gained_s = cost.steps * max(0.0, cost.step_s(1) - cost.step_s(2))
        works.append(Work(cost.solo_s, cost.solo_s / (cost.solo_s - gained_s)))
    return works


def ideal(load: Load, devices: int) -> Verdict:
    """The best of three pools: pre-emptive with and without shedding, and earliest deadline first without pre-emption.
    Each is a policy that somebody could run, so the true optimum lies between this and *fluid*."""
    works, parts, sizes = works_of(load), [frozenset(range(len(load.costs)))], [devices]
    found = [
        _split_verdict(load, parts, sizes, lambda jobs, n: preemptive_pool(jobs, works, n)),
        _split_verdict(load, parts, sizes, lambda jobs, n: preemptive_pool(jobs, works, n, sheds=False)),
        _edf_verdict(load, parts, sizes),
    ]
    return max(found, key=lambda each: each.score)


def ideal2(load: Load, devices: int) -> tuple[tuple[int, ...], Verdict]:
    """The pre-emptive pool on one or two sub-clusters whose models fit one device; (sizes, verdict).

    Searched with pools that do not pre-empt, since those are quick; the TRIED splits that do best are judged.
    """
    works = works_of(load)
    splits = [
        (parts, (count, devices - count)[: len(parts)])
        for parts in sub_clusters(load.costs)
        for count in (range(1, devices) if len(parts) == 2 else [devices])
    ]
    splits.sort(key=lambda split: _edf_verdict(load, *split).score, reverse=True)
    best: tuple[tuple[int, ...], Verdict] | None = None
    for parts, sizes in splits[:TRIED]:
        found = _split_verdict(load, parts, sizes, lambda jobs, n: preemptive_pool(jobs, works, n))
        if best is None or found.score > best[1].score:
            best = (sizes, found)
    return best or ((), verdict(load, [[None] * len(jobs) for jobs in load.seeds]))


def sub_clusters(costs: Sequence[Cost]) -> list[list[frozenset[int]]]:
    """Ways to part the kinds of jobs, by base model, into one or two sets whose models fit one device together."""
    families: dict[str, list[int]] = {}
    for kind, cost in enumerate(costs):
        families.setdefault(max(cost.models, key=lambda model: model[1])[0], []).append(kind)
    found = []
    for first in _halves(sorted(families)):
        parts = [part for part in (first, [name for name in families if name not in first]) if part]
        kinds = [frozenset(kind for name in part for kind in families[name]) for part in parts]
        if all(_fits([costs[kind] for kind in part]) for part in kinds):
            found.append(kinds)
    return found


def _edf_verdict(load: Load, parts: Sequence[frozenset[int]], sizes: Sequence[int]) -> Verdict:
    return _split_verdict(load, parts, sizes, lambda jobs, n: edf_pool(jobs, load.costs, n))


def _split_verdict(load: Load, parts: Sequence[frozenset[int]], sizes: Sequence[int], pool: Pool) -> Verdict:
    ends: list[list[float | None]] = [[None] * len(jobs) for jobs in load.seeds]
    for part, size in zip(parts, sizes, strict=True):
        for jobs, seed_ends in zip(load.seeds, ends, strict=True):
            numbers = [number for number, job in enumerate(jobs) if job.kind in part]
            own = pool([jobs[number] for number in numbers], size)
            for number, end_s in zip(numbers, own, strict=True):
                seed_ends[number] = end_s
    return verdict(load, ends)


def _halves(names: list[str]) -> list[list[str]]:
    """Every way to cut a list in two, each once; the whole first."""
    return [list(names)] + [
        [names[0], *mates] for size in range(len(names) - 1) for mates in combinations(names[1:], size)
    ]


def _fits(costs: Sequence[Cost]) -> bool:
    models = {model: nbytes for cost in costs for model, nbytes, _ in cost.models}
    return sum(models.values()) <= WEIGHTS_GIB * GIB
