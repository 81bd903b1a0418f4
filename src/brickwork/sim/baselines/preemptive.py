"""A pool in which every device holds everything and any request may be paused at any time: earliest deadline first, one
or two devices a request, and the dearest are shed when not all can be in time.

Steps are taken as infinitely short, so it is a little better than pre-emption between steps. It decides at arrivals and
ends, and when a request that waits could no longer be in time on one device. Nothing is known of the future.

    one device; 24 s of work due at 48 s runs; 2 s of work due at 4 s arrives at 1 s, ends at 3 s, and the other at 26 s
"""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from brickwork.load.report import MIN_WORKFLOW_ATTAINMENT
from brickwork.sim.baselines.costs import Job
from brickwork.sim.baselines.verdict import Missed

EPSILON_S = 1e-9


@dataclass(frozen=True, slots=True)
class Work:
    """What a kind of request takes."""

    solo_s: float  # on one device
    fast: float = 1.0  # how many times faster on two; 1: they do not help


@dataclass(slots=True)
class _Run:
    number: int
    kind: int
    due_s: float
    left_s: float  # device seconds on one device
    fast: float


def preemptive_pool(
    jobs: Sequence[Job],
    works: Sequence[Work],
    devices: int,
    sheds: bool = True,
    missed: Missed = lambda number: False,
) -> list[float | None]:
    """When each job of one seed ends; None when it was shed, or could not be in time any more.

    missed     told of each that is dropped; ends the run when it says so
    """
    ends: list[float | None] = [None] * len(jobs)
    offered, dropped = [0] * len(works), [0] * len(works)
    runs: list[_Run] = []  # by deadline
    now_s = 0.0

    def drop(run: _Run) -> bool:
        runs.remove(run)
        dropped[run.kind] += 1
        return missed(run.number)

    stops = False
    for number, job in enumerate(jobs):
        for run, end_s in _advance(runs, devices, now_s, job.at_s):
            ends[run.number] = end_s
        now_s = job.at_s
        for late in [run for run in runs if now_s + run.left_s / run.fast > run.due_s + EPSILON_S]:
            stops |= drop(late)
        insort(runs, _Run(number, job.kind, job.due_s, works[job.kind].solo_s, works[job.kind].fast), key=_by_deadline)
        offered[job.kind] += 1
        while sheds and (late_s := _first_late_s(runs, devices, now_s)) < inf:
            may = [(1 - MIN_WORKFLOW_ATTAINMENT) * n - m >= 1 for n, m in zip(offered, dropped, strict=True)]
            candidates = [run for run in runs if run.due_s <= late_s]
            stops |= drop(max(candidates, key=lambda run: (may[run.kind], run.left_s, run.number)))
        if stops:
            return [_in_time(end_s, job) for end_s, job in zip(ends, jobs, strict=True)]
    for run, end_s in _advance(runs, devices, now_s, inf):
        ends[run.number] = end_s
    return [_in_time(end_s, job) for end_s, job in zip(ends, jobs, strict=True)]


def _in_time(end_s: float | None, job: Job) -> float | None:
    return None if end_s is None or end_s > job.due_s + EPSILON_S else min(end_s, job.due_s)


def _by_deadline(run: _Run) -> tuple[float, int]:
    return run.due_s, run.number


def _speeds(runs: Sequence[_Run], devices: int, now_s: float) -> list[float]:
    """How fast each runs: in order of deadline one device each, two for who is late on one; then spare ones."""
    speeds = [0.0] * len(runs)
    for k, run in enumerate(runs):
        if devices == 0:
            return speeds
        if devices > 1 and run.fast > 1.0 and now_s + run.left_s > run.due_s + EPSILON_S:
            speeds[k], devices = run.fast, devices - 2
        else:
            speeds[k], devices = 1.0, devices - 1
    for k, run in enumerate(runs):
        if devices and speeds[k] == 1.0 and run.fast > 1.0:
            speeds[k], devices = run.fast, devices - 1
    return speeds


def _advance(runs: list[_Run], devices: int, now_s: float, until_s: float) -> list[tuple[_Run, float]]:
    """Let time pass; takes who ends out of `runs` and tells when."""
    ended: list[tuple[_Run, float]] = []
    while runs and now_s < until_s:
        speeds = _speeds(runs, devices, now_s)
        passing_s = until_s - now_s
        for run, speed in zip(runs, speeds, strict=True):
            change_s = run.left_s / speed if speed else _too_slow_in_s(run, now_s)
            if change_s < passing_s:
                passing_s = change_s
        now_s += passing_s
        some_end = False
        for run, speed in zip(runs, speeds, strict=True):
            if speed:
                run.left_s -= speed * passing_s
                some_end |= run.left_s <= EPSILON_S
        if some_end:
            ended += [(run, now_s) for run in runs if run.left_s <= EPSILON_S]
            runs[:] = [run for run in runs if run.left_s > EPSILON_S]
    return ended


def _too_slow_in_s(run: _Run, now_s: float) -> float:
    """Until one device is too slow for one that waits; inf when it is already."""
    slack_s = run.due_s - now_s - run.left_s
    return slack_s + 2 * EPSILON_S if slack_s > -EPSILON_S else inf


def _first_late_s(runs: Sequence[_Run], devices: int, now_s: float) -> float:
    """The earliest deadline that would be missed if nobody else came; inf when none would."""
    if len(runs) <= devices and all(now_s + run.left_s <= run.due_s for run in runs):
        return inf  # a device for each is enough
    copies = [_Run(run.number, run.kind, run.due_s, run.left_s, run.fast) for run in runs]
    ended = _advance(copies, devices, now_s, inf)
    return min((run.due_s for run, end_s in ended if end_s > run.due_s + EPSILON_S), default=inf)
