"""Sub-clusters: the devices parted so that each part holds all the models of its workflows on every device.

    58 GiB of weights a device; bases A 30, B 25, C 20, with what belongs to them
    one part: 75, does not fit      two parts: {A, B} {C}, {A, C} {B}, {A} {B, C}      three: only if no two fit

Requests of one part never use a device of another, so a part's finishes depend on its own number of devices only.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, permutations

from brickwork.sim.baselines.costs import GIB, WEIGHTS_GIB, Cost, Job, Load
from brickwork.sim.baselines.verdict import Finishes, Missed, Verdict, verdict_of_runs

Parts = Sequence[frozenset[int]]
"""Kinds of jobs by part; every kind is in one part."""

Pool = Callable[[Sequence[Job], int, Missed], Finishes]
"""(jobs of one part and seed, devices, where to tell misses) -> when each ends."""


def sub_clusters(costs: Sequence[Cost]) -> list[list[frozenset[int]]]:
    """Ways to part the kinds of jobs, by base model, into sets whose models fit one device together: all ways with one
    or two sets; where there is none, all with three, and so on. [] when one family alone does not fit."""
    families: dict[str, list[int]] = {}
    for kind, cost in enumerate(costs):
        families.setdefault(max(cost.models, key=lambda model: model[1])[0], []).append(kind)
    found: dict[int, list[list[frozenset[int]]]] = {}
    for parts in groupings(sorted(families)):
        kinds = [frozenset(kind for name in part for kind in families[name]) for part in parts]
        if all(_fits([costs[kind] for kind in part]) for part in kinds):
            found.setdefault(max(2, len(parts)), []).append(kinds)
    return sorted(found[min(found)], key=len) if found else []


def groupings(items: list) -> Iterator[list[list]]:  # type: ignore[type-arg]
    """All ways to put `items` into groups; 1, 2, 5, 15 ways for 1 to 4 items."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for size in range(len(rest) + 1):
        for mates in combinations(rest, size):
            others = [item for item in rest if item not in mates]
            for grouping in groupings(others):
                yield [[first, *mates], *grouping]


def all_sizes(parts: int, devices: int) -> Iterator[tuple[int, ...]]:
    """All ways to give every part at least one of the devices."""
    for cuts in combinations(range(1, devices), parts - 1):
        yield tuple(right - left for left, right in zip((0, *cuts), (*cuts, devices), strict=True))


def sizes_by_work(load: Load, parts: Parts, devices: int) -> list[tuple[int, ...]]:
    """Devices by the work that each part is offered, and all ways to move one of them to another part."""
    work = [
        sum(load.costs[job.kind].solo_s for jobs in load.seeds for job in jobs if job.kind in part) for part in parts
    ]
    if devices < len(parts):
        return []
    sizes = [1] * len(parts)
    for _ in range(devices - len(parts)):
        neediest = max(range(len(parts)), key=lambda k: work[k] / sizes[k])
        sizes[neediest] += 1
    found = [tuple(sizes)]
    for source, target in permutations(range(len(parts)), 2):
        moved = list(sizes)
        moved[source], moved[target] = moved[source] - 1, moved[target] + 1
        if moved[source] >= 1:
            found.append(tuple(moved))
    return found


def split_verdict(load: Load, parts: Parts, sizes: Sequence[int], pool: Pool, stops: bool = False) -> Verdict:
    """Every part on its own devices. `stops` as in `verdict_of_runs`."""

    def run(jobs: Sequence[Job], missed: Missed) -> Finishes:
        ends: list[float | None] = [None] * len(jobs)
        for part, size in zip(parts, sizes, strict=True):
            numbers = [number for number, job in enumerate(jobs) if job.kind in part]
            own = pool([jobs[number] for number in numbers], size, lambda k, numbers=numbers: missed(numbers[k]))  # type: ignore[misc]
            for number, end_s in zip(numbers, own, strict=True):
                ends[number] = end_s
        return ends

    return verdict_of_runs(load, run, stops)


def _fits(costs: Sequence[Cost]) -> bool:
    models = {model: nbytes for cost in costs for model, nbytes, _ in cost.models}
    return sum(models.values()) <= WEIGHTS_GIB * GIB
