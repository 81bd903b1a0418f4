"""B3: static stage pools. Encoders, denoisers and decoders have devices of their own, in fixed, searched numbers.

A pool holds the models of its stage, where they fit; a denoise pool that cannot hold all bases swaps them like B1, base
and ControlNets only. Requests go through three FIFO queues. Under common admission a request is dropped before its
denoise stage when its finish would be late: encoding is cheap, and the finish is known there.
"""

from collections.abc import Sequence
from heapq import heapreplace

from brickwork.sim.baselines.costs import GIB, WEIGHTS_GIB, Cost, Job, Load
from brickwork.sim.baselines.verdict import Verdict, verdict


def stage_pools(
    jobs: Sequence[Job], costs: Sequence[Cost], sizes: tuple[int, int, int], admits: bool
) -> list[float | None]:
    """Finishes of one seed with (encode, denoise, decode) pools of these sizes."""
    encoded = _through(
        sorted((job.at_s, n) for n, job in enumerate(jobs)), jobs, [c.stage_s(0) for c in costs], sizes[0]
    )
    denoised = _denoise(encoded, jobs, costs, sizes[1], admits)
    decoded = _through(denoised, jobs, [cost.stage_s(2) for cost in costs], sizes[2])
    ends: list[float | None] = [None] * len(jobs)
    for end_s, number in decoded:
        ends[number] = end_s
    return ends


def best_stage_pools(load: Load, devices: int, admits: bool) -> tuple[tuple[int, int, int], Verdict]:
    """The best sizes. Few devices encode and decode: each of the two is tried from 1 up to a third of the fleet."""
    best: tuple[tuple[int, int, int], Verdict] | None = None
    for encode in range(1, max(2, devices // 3 + 1)):
        for decode in range(1, max(2, devices // 3 + 1)):
            sizes = (encode, devices - encode - decode, decode)
            if sizes[1] >= 1:
                found = verdict(load, [stage_pools(jobs, load.costs, sizes, admits) for jobs in load.seeds])
                if best is None or found.score > best[1].score:
                    best = (sizes, found)
    assert best is not None, "three stages need three devices"
    return best


def _through(
    arrivals: Sequence[tuple[float, int]], jobs: Sequence[Job], seconds: Sequence[float], servers: int
) -> list[tuple[float, int]]:
    """FIFO through equal servers; (end, number of the job) in order of end."""
    free = [0.0] * servers
    ends = []
    for at_s, number in arrivals:
        end_s = max(at_s, free[0]) + seconds[jobs[number].kind]
        heapreplace(free, end_s)
        ends.append((end_s, number))
    return sorted(ends)


def _denoise(
    arrivals: Sequence[tuple[float, int]], jobs: Sequence[Job], costs: Sequence[Cost], servers: int, admits: bool
) -> list[tuple[float, int]]:
    """FIFO through servers that hold as many denoise models as fit, least recently used ones pushed out."""
    sizes = {model: (nbytes, load_s) for cost in costs for model, nbytes, load_s in cost.models}
    free = [0.0] * servers
    resident: list[dict[str, None]] = [{} for _ in range(servers)]
    _warm(resident, jobs, costs, sizes)
    run_s = [cost.stage_s(1) for cost in costs]
    rest_s = [cost.stage_s(2) for cost in costs]
    ends = []
    for at_s, number in arrivals:
        job = jobs[number]
        wanted = costs[job.kind].stage_models[1]
        best, best_s = 0, float("inf")
        for k in range(servers):
            start_s = max(at_s, free[k]) + sum(sizes[model][1] for model in wanted if model not in resident[k])
            if start_s < best_s:
                best, best_s = k, start_s
        end_s = best_s + run_s[job.kind]
        if end_s + rest_s[job.kind] > job.due_s and (admits or best_s >= job.due_s):
            continue
        free[best] = end_s
        _hold(resident[best], wanted, sizes)
        ends.append((end_s, number))
    return sorted(ends)


def _warm(
    resident: list[dict[str, None]],
    jobs: Sequence[Job],
    costs: Sequence[Cost],
    sizes: dict[str, tuple[int, float]],
) -> None:
    """Servers begin with the models of the most asked-for workflows, in turn."""
    wishes = [costs[kind].stage_models[1] for kind in sorted({job.kind for job in jobs})]
    for k, held in enumerate(resident):
        for shift in range(len(wishes)):
            wanted = wishes[(k + shift) % len(wishes)]
            if sum(sizes[model][0] for model in {*held, *wanted}) <= WEIGHTS_GIB * GIB:
                held.update(dict.fromkeys(wanted))


def _hold(held: dict[str, None], wanted: Sequence[str], sizes: dict[str, tuple[int, float]]) -> None:
    for model in wanted:
        held.pop(model, None)
        held[model] = None
    while sum(sizes[model][0] for model in held) > WEIGHTS_GIB * GIB:
        del held[next(iter(held))]
