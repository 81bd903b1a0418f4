"""Pools of whole-workflow servers: the engine of B0 to B2, of the FIFO pool and of the EDF pool.

A server runs one request after the other, each whole. A request is assigned on arrival to the server that will finish
it first, which is what one FIFO queue before equal servers does. Under common admission it is refused when that finish
misses its deadline; the finish is exact, as service times are.
"""

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush, heapreplace

from brickwork.sim.baselines.costs import GIB, MONOLITH_GIB, Cost, Job


def fits_together(costs: Sequence[Cost]) -> bool:
    """Whether one device holds all these pipelines, each with weights of its own, and one of them runs."""
    nbytes = sum(cost.weight_bytes for cost in costs) + max(cost.activation_bytes for cost in costs)
    return nbytes <= MONOLITH_GIB * GIB


def resident_pool(jobs: Sequence[Job], costs: Sequence[Cost], servers: int, admits: bool) -> list[float | None]:
    """FIFO over `servers` equal servers that hold all they serve."""
    free = [0.0] * servers
    solo = [cost.solo_s for cost in costs]
    ends: list[float | None] = []
    for job in jobs:
        start_s = max(job.at_s, free[0])
        end_s = start_s + solo[job.kind]
        if end_s > job.due_s and (admits or start_s >= job.due_s):
            ends.append(None)
        else:
            heapreplace(free, end_s)
            ends.append(end_s)
    return ends


def swapping_pool(
    jobs: Sequence[Job],
    costs: Sequence[Cost],
    servers: int,
    admits: bool,
    loaded: Callable[[], None] = lambda: None,
) -> list[float | None]:
    """FIFO over servers any of which serves any workflow: a pipeline that is not there is loaded whole, from the host's
    memory, and pushes out the least recently used ones. Servers begin with pipelines in turn, as a fleet that has run
    before does. Where admission would refuse a request only because its pipeline has to be loaded, the load is done all
    the same if the server would otherwise be idle; else a pipeline that is nowhere would be refused for ever.

    loaded     called for every load
    """
    free = [0.0] * servers
    resident = warm(jobs, costs, servers)
    fitting: dict[tuple[int, ...], bool] = {}
    ends: list[float | None] = []
    for job in jobs:
        cost = costs[job.kind]
        best, best_s = _soonest(job, free, resident, cost.load_s)
        end_s = best_s + cost.solo_s
        is_late = end_s > job.due_s
        if is_late and (admits or best_s >= job.due_s):
            ends.append(None)
            if job.kind in resident[best] or free[best] > job.at_s:
                continue
            free[best] = best_s  # the load alone
        else:
            free[best] = end_s
            ends.append(end_s)
        if job.kind not in resident[best]:
            loaded()
        hold(resident[best], job.kind, costs, fitting)
    return ends


def _soonest(job: Job, free: Sequence[float], resident: Sequence[dict[int, None]], load_s: float) -> tuple[int, float]:
    """The first server that could begin the job soonest, and when."""
    best, best_s = 0, float("inf")
    at_s, kind = job.at_s, job.kind
    for k, free_s in enumerate(free):
        start_s = free_s if free_s > at_s else at_s
        if kind not in resident[k]:
            start_s += load_s
        if start_s < best_s:
            best, best_s = k, start_s
            if start_s == at_s:
                break
    return best, best_s


def warm(jobs: Sequence[Job], costs: Sequence[Cost], servers: int) -> list[dict[int, None]]:
    """What servers hold before the first request: pipelines in turn, as many as fit."""
    kinds = sorted({job.kind for job in jobs})
    held: list[dict[int, None]] = [{} for _ in range(servers)]
    for number, server in enumerate(held):
        for shift in range(len(kinds)):
            kind = kinds[(number + shift) % len(kinds)]
            if fits_together([costs[each] for each in (*server, kind)]):
                server[kind] = None
    return held


def hold(held: dict[int, None], kind: int, costs: Sequence[Cost], fitting: dict[tuple[int, ...], bool]) -> None:
    """Make `kind` the most recently used of a server, and push out what no longer fits.

    fitting    what is known of which kinds fit together; added to
    """
    held.pop(kind, None)
    held[kind] = None
    while len(held) > 1:
        kinds = tuple(held)
        if kinds not in fitting:
            fitting[kinds] = fits_together([costs[each] for each in kinds])
        if fitting[kinds]:
            return
        del held[kinds[0]]


def edf_pool(jobs: Sequence[Job], costs: Sequence[Cost], servers: int) -> list[float | None]:
    """Servers that hold everything take the waiting request of earliest deadline; one that cannot make it any more is
    dropped. Not pre-empted."""
    free = [0.0] * servers
    heapify(free)
    waiting: list[tuple[float, int]] = []
    ends: list[float | None] = [None] * len(jobs)
    number = 0
    while number < len(jobs) or waiting:
        free_s = heappop(free)
        if not waiting and number < len(jobs):
            free_s = max(free_s, jobs[number].at_s)
        while number < len(jobs) and jobs[number].at_s <= free_s:
            heappush(waiting, (jobs[number].due_s, number))
            number += 1
        while waiting:
            due_s, chosen = heappop(waiting)
            end_s = free_s + costs[jobs[chosen].kind].solo_s
            if end_s <= due_s:
                ends[chosen] = end_s
                free_s = end_s
                break
        heappush(free, free_s)
    return ends
