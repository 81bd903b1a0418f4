"""B0 to B2: monoliths whose devices are split into groups, each group serving some workflows.

    B0   a group for each workflow                      (the split over workflows is searched)
    B1   one group for all, which swaps                 (nothing to search)
    B2   any grouping: a family split in every way, families whole or together (grouping and split are searched)

A group whose pipelines fit a device together holds them all; others swap. Groups do not meet, so what a group attains
depends on its devices only: a table by group and number of devices, and then the best split is a knapsack, solved
exactly. Of several splits that hold, or do not, the one with the best verdict is taken.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import ceil

from brickwork.load.report import MIN_WORKFLOW_ATTAINMENT, MIN_WORKFLOW_REQUESTS
from brickwork.sim.baselines.clusters import groupings
from brickwork.sim.baselines.costs import Job, Load
from brickwork.sim.baselines.pools import fits_together, resident_pool, swapping_pool
from brickwork.sim.baselines.verdict import Verdict, offered, verdict

Group = frozenset[int]
"""Kinds of jobs that are served together."""


@dataclass(frozen=True, slots=True)
class Split:
    """Groups with their devices, and how well that goes."""

    groups: tuple[tuple[tuple[str, ...], int], ...]  # (workflows, devices)
    verdict: Verdict
    loads: int  # of whole pipelines, after the start


Row = tuple[float, tuple[tuple[Group, int], ...]]
"""A way to use some devices: (value, groups with their devices)."""

NONE: Row = (float("-inf"), ())

MANY = 7
"""Families up to which every grouping is tried: 877 of them."""

FLOOR = 1e6
"""What a workflow below its floor costs in a search: more than all requests together can be worth."""


@dataclass
class _Tables:
    """What each group attains with each number of devices, worked out when asked for.

    stops    leave out what no split that holds can contain, by work alone: fewer devices for a group than 80 % of each
             workflow take, or so many that the others would have fewer
    """

    load: Load
    admits: bool
    devices: int
    stops: bool
    _jobs: dict[Group, list[list[Job]]] = field(default_factory=dict)
    _offered: list[int] = field(init=False)  # judged jobs by kind
    _seconds: float = field(init=False)  # of each device, over all seeds, from the first arrival to the last deadline
    _rows: dict[Group, list[Row]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._offered = offered(self.load)
        self._seconds = sum(max(job.due_s for job in jobs) - jobs[0].at_s for jobs in self.load.seeds if jobs)

    def jobs(self, group: Group) -> list[list[Job]]:
        """The group's jobs by seed."""
        if group not in self._jobs:
            self._jobs[group] = [[job for job in jobs if job.kind in group] for jobs in self.load.seeds]
        return self._jobs[group]

    def finishes(
        self, group: Group, devices: int, loaded: Callable[[], None] = lambda: None
    ) -> list[list[float | None]]:
        costs = self.load.costs
        if fits_together([costs[kind] for kind in group]):
            return [resident_pool(jobs, costs, devices, self.admits) for jobs in self.jobs(group)]
        return [swapping_pool(jobs, costs, devices, self.admits, loaded) for jobs in self.jobs(group)]

    def rows(self, group: Group) -> list[Row]:
        """The group alone on 0, 1 ... devices; ends where more devices would meet no more."""
        if group not in self._rows:
            rows = [NONE]
            judged = [
                [counts for job, counts in zip(jobs, seed, strict=True) if job.kind in group]
                for jobs, seed in zip(self.load.seeds, self.load.judged, strict=True)
            ]
            others = frozenset(range(len(self.load.costs))) - group
            low, high = self.least(group), self.devices - self.least(others)
            for devices in range(1, self.devices + 1):
                if self.stops and not low <= devices <= high:
                    rows.append(NONE)
                    continue
                value, is_full = self._value(group, devices, judged)
                rows.append((value, ((group, devices),)))
                if is_full:
                    break
            self._rows[group] = rows
        return self._rows[group]

    def least(self, group: Group) -> int:
        """Devices below which the group's floors cannot be met, since there is no time for the work."""
        floors_s = sum(
            MIN_WORKFLOW_ATTAINMENT * self._offered[kind] * self.load.costs[kind].solo_s
            for kind in group
            if self._offered[kind] >= MIN_WORKFLOW_REQUESTS
        )
        return max(1, ceil(floors_s / self._seconds - 1e-9)) if group else 0

    def _value(self, group: Group, devices: int, judged: list[list[bool]]) -> tuple[float, bool]:
        """Requests met in time, less FLOOR for every workflow below its floor; and whether all were met."""
        met, counts = dict.fromkeys(group, 0), dict.fromkeys(group, 0)
        for jobs, seed, ends in zip(self.jobs(group), judged, self.finishes(group, devices), strict=True):
            for job, is_judged, end_s in zip(jobs, seed, ends, strict=True):
                if is_judged:
                    counts[job.kind] += 1
                    met[job.kind] += end_s is not None and end_s <= job.due_s
        below = sum(
            counts[kind] >= MIN_WORKFLOW_REQUESTS and met[kind] < MIN_WORKFLOW_ATTAINMENT * counts[kind]
            for kind in group
        )
        return sum(met.values()) - FLOOR * below, met == counts


def split_b0(load: Load, devices: int, admits: bool, stops: bool = False) -> Split:
    """A group for each workflow. With fewer devices than workflows, neighbours in the list share a group and swap."""
    tables = _Tables(load, admits, devices, stops)
    return _judged(_each_alone(tables, devices), tables)


def _each_alone(tables: _Tables, devices: int) -> Row:
    kinds = list(range(len(tables.load.costs)))
    size = -(-len(kinds) // devices)
    groups = [frozenset(kinds[k : k + size]) for k in range(0, len(kinds), size)]
    return _together([tables.rows(group) for group in groups], devices)


def split_b1(load: Load, devices: int, admits: bool, stops: bool = False) -> Split:
    """One group of everything."""
    group = frozenset(range(len(load.costs)))
    return _judged((0.0, ((group, devices),)), _Tables(load, admits, devices, stops))


def split_b2(load: Load, devices: int, admits: bool, stops: bool = False) -> Split:
    """The best grouping: families together in every way; one that stays alone is itself split in every way. With more
    than MANY families those with most work are alone and the others together, or all as in B0."""
    tables = _Tables(load, admits, devices, stops)
    families = _families(load)
    alone = {
        name: _best_rows(
            [_together_rows([tables.rows(frozenset(part)) for part in split], devices) for split in groupings(kinds)]
        )
        for name, kinds in families.items()
        if len(families) <= MANY
    }
    best = NONE
    for partition in groupings(list(families)) if len(families) <= MANY else _coarse(list(families)):
        if len(partition) <= devices:
            rows = [
                alone[names[0]] if names[0] in alone and len(names) == 1 else tables.rows(_kinds(names, families))
                for names in partition
            ]
            best = max(best, _together(rows, devices), key=lambda row: row[0])
    if len(families) > MANY:
        best = max(best, _each_alone(tables, devices), key=lambda row: row[0])
    return _judged(best, tables)


def _families(load: Load) -> dict[str, list[int]]:
    """Kinds by base model, the one with most work first."""
    work = [0.0] * len(load.costs)
    for jobs in load.seeds:
        for job in jobs:
            work[job.kind] += load.costs[job.kind].solo_s
    families: dict[str, list[int]] = {}
    for kind, cost in enumerate(load.costs):
        families.setdefault(max(cost.models, key=lambda model: model[1])[0], []).append(kind)
    return dict(sorted(families.items(), key=lambda item: -sum(work[kind] for kind in item[1])))


def _kinds(names: list[str], families: dict[str, list[int]]) -> Group:
    return frozenset(kind for name in names for kind in families[name])


def _coarse(names: list[str]) -> Iterator[list[list[str]]]:
    """Groupings of many families: some of those with most work alone, all others together."""
    for alone in (0, 1, 2, 3, 5, 8):
        yield [*([name] for name in names[:alone]), names[alone:]]


def _together_rows(parts: list[list[Row]], devices: int) -> list[Row]:
    """The most valuable way to share 0, 1 ... `devices` devices among parts: a knapsack over their rows."""
    rows: list[Row] = [(0.0, ())]
    for part in parts:
        following = [NONE] * min(devices + 1, len(rows) + len(part) - 1)
        for used, (value, groups) in enumerate(rows):
            for count, (own, own_groups) in enumerate(part[: len(following) - used]):
                if value + own > following[used + count][0]:
                    following[used + count] = (value + own, groups + own_groups)
        rows = following
    return rows


def _together(parts: list[list[Row]], devices: int) -> Row:
    return max(_together_rows(parts, devices), key=lambda row: row[0])


def _best_rows(choices: list[list[Row]]) -> list[Row]:
    """For each number of devices the best of several tables."""
    longest = max(len(rows) for rows in choices)
    return [
        max((rows[n] for rows in choices if n < len(rows)), key=lambda row: row[0], default=NONE)
        for n in range(longest)
    ]


def _judged(split: Row, tables: _Tables) -> Split:
    load = tables.load
    ends: list[list[float | None]] = [[None] * len(jobs) for jobs in load.seeds]
    loads: list[None] = []
    for group, devices in split[1]:
        finishes = tables.finishes(group, devices, lambda: loads.append(None))
        for jobs, seed_ends, own in zip(load.seeds, ends, finishes, strict=True):
            numbers = [number for number, job in enumerate(jobs) if job.kind in group]
            for number, end_s in zip(numbers, own, strict=True):
                seed_ends[number] = end_s
    named = tuple((tuple(load.costs[kind].name for kind in sorted(group)), count) for group, count in split[1])
    return Split(named, verdict(load, ends), len(loads))
