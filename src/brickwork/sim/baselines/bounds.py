"""Bounds: what nothing can exceed, and what a clairvoyant pool reaches.

*fluid*    requests are divisible and known beforehand: only their least work has to fit into the time that there is.
           A proof that no policy holds more, where holding includes the floor of every workflow.
*ideal*    all models resident everywhere, no transfer, no control: earliest deadline first with pre-emption, one or two
           devices for a request (its guidance rows apart), and the dearest requests shed when not all fit
*ideal2*   the same on searched sub-clusters, as few as possible, each of whose models fit one device
"""

from collections.abc import Sequence

from brickwork.load.report import MIN_WORKFLOW_ATTAINMENT
from brickwork.sim.baselines.clusters import Parts, all_sizes, split_verdict, sub_clusters
from brickwork.sim.baselines.costs import Cost, Job, Load
from brickwork.sim.baselines.pools import edf_pool
from brickwork.sim.baselines.preemptive import Work, preemptive_pool
from brickwork.sim.baselines.verdict import Missed, Verdict, offered, verdict, verdict_of_counts, verdict_of_runs

TRIED = 3
"""Splits into sub-clusters that are judged with pre-emption."""


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


def ideal(load: Load, devices: int, stops: bool = False) -> Verdict:
    """The best of three pools: pre-emptive with and without shedding, and earliest deadline first without pre-emption.
    Each is a policy that somebody could run, so the true optimum lies between this and *fluid*."""
    works = works_of(load)

    def preemptive(sheds: bool) -> Verdict:
        return verdict_of_runs(load, lambda jobs, missed: preemptive_pool(jobs, works, devices, sheds, missed), stops)

    edf = verdict_of_runs(load, lambda jobs, _: edf_pool(jobs, load.costs, devices), stops)
    return max(preemptive(True), preemptive(False), edf, key=lambda each: each.score)


def ideal2(load: Load, devices: int, stops: bool = False) -> tuple[tuple[int, ...], Verdict]:
    """The pre-emptive pool on the fewest sub-clusters whose models fit one device; (sizes, verdict).

    Searched with pools that do not pre-empt, since those are quick; the TRIED splits that do best are judged.
    """
    works = works_of(load)

    def pool(jobs: Sequence[Job], count: int, missed: Missed) -> list[float | None]:
        return preemptive_pool(jobs, works, count, missed=missed)

    best: tuple[tuple[int, ...], Verdict] | None = None
    for parts, sizes in _best_without_preemption(load, devices)[:TRIED]:
        found = split_verdict(load, parts, sizes, pool, stops)
        if best is None or found.score > best[1].score:
            best = (sizes, found)
    return best or ((), verdict(load, [[None] * len(jobs) for jobs in load.seeds]))


def _best_without_preemption(load: Load, devices: int) -> list[tuple[Parts, tuple[int, ...]]]:
    """All splits into sub-clusters, the best one for pools of earliest deadline first at the head."""
    met: dict[tuple[frozenset[int], int], list[int]] = {}  # by kind, of a part on some devices

    def of(part: frozenset[int], count: int) -> list[int]:
        if (part, count) not in met:
            met[part, count] = _met(load, part, count)
        return met[part, count]

    def score(split: tuple[Parts, tuple[int, ...]]) -> tuple[float, float]:
        sums = [sum(each) for each in zip(*(of(*own) for own in zip(*split, strict=True)), strict=True)]
        return verdict_of_counts(load, sums, offered(load)).score

    splits = [(parts, sizes) for parts in sub_clusters(load.costs) for sizes in all_sizes(len(parts), devices)]
    return sorted(splits, key=score, reverse=True)


def _met(load: Load, part: frozenset[int], devices: int) -> list[int]:
    """Jobs of each kind that an EDF pool for `part` alone finishes in time."""
    met = [0] * len(load.costs)
    for jobs, judged in zip(load.seeds, load.judged, strict=True):
        own = [(job, counts) for job, counts in zip(jobs, judged, strict=True) if job.kind in part]
        for (job, counts), end_s in zip(own, edf_pool([job for job, _ in own], load.costs, devices), strict=True):
            met[job.kind] += counts and end_s is not None and end_s <= job.due_s
    return met
