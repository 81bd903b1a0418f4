"""A pool in which every device holds everything and any request may be paused at any time: earliest deadline first, one
or two devices a request, and the dearest are shed when not all can be in time.

Steps are taken as infinitely short, so it is a little better than pre-emption between steps. It decides at arrivals and
ends, and when a request that waits could no longer be in time on one device. Nothing is known of the future.

    one device; 24 s of work due at 48 s runs; 2 s of work due at 4 s arrives at 1 s, ends at 3 s, and the other at 26 s
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

from brickwork.load.report import MIN_WORKFLOW_ATTAINMENT
from brickwork.sim.baselines.costs import Job

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


def preemptive_pool(jobs: Sequence[Job], works: Sequence[Work], devices: int, sheds: bool = True) -> list[float | None]:
    """When each job of one seed ends; None when it was shed, or could not be in time any more."""
    ends: list[float | None] = [None] * len(jobs)
    offered, missed = [0] * len(works), [0] * len(works)
    runs: list[_Run] = []  # by deadline
    now_s = 0.0

    def drop(run: _Run) -> None:
        runs.remove(run)
        missed[run.kind] += 1

    for number, job in enumerate(jobs):
        for run, end_s in _advance(runs, devices, now_s, job.at_s):
            ends[run.number] = end_s
        now_s = job.at_s
        for late in [run for run in runs if now_s + run.left_s / run.fast > run.due_s + EPSILON_S]:
            drop(late)
        runs.append(_Run(number, job.kind, job.due_s, works[job.kind].solo_s, works[job.kind].fast))
        runs.sort(key=lambda run: (run.due_s, run.number))
        offered[job.kind] += 1
        while sheds and (late_s := _first_late_s(runs, devices, now_s)) < inf:
            may = [(1 - MIN_WORKFLOW_ATTAINMENT) * n - m >= 1 for n, m in zip(offered, missed, strict=True)]
            candidates = [run for run in runs if run.due_s <= late_s]
            drop(max(candidates, key=lambda run: (may[run.kind], run.left_s, run.number)))
    for run, end_s in _advance(runs, devices, now_s, inf):
        ends[run.number] = end_s
    return [_in_time(end_s, job) for end_s, job in zip(ends, jobs, strict=True)]


def _in_time(end_s: float | None, job: Job) -> float | None:
    return None if end_s is None or end_s > job.due_s + EPSILON_S else min(end_s, job.due_s)


def _speeds(runs: Sequence[_Run], devices: int, now_s: float) -> list[float]:
    """How fast each runs: in order of deadline one device each, two for who is late on one; then spare ones."""
    taken = []
    for run in runs:
        wish = 2 if run.fast > 1.0 and now_s + run.left_s > run.due_s + EPSILON_S else 1
        taken.append(min(wish, devices))
        devices -= taken[-1]
    for k, run in enumerate(runs):
        if devices and taken[k] == 1 and run.fast > 1.0:
            taken[k], devices = 2, devices - 1
    return [(0.0, 1.0, run.fast)[count] for run, count in zip(runs, taken, strict=True)]


def _advance(runs: list[_Run], devices: int, now_s: float, until_s: float) -> list[tuple[_Run, float]]:
    """Let time pass; takes who ends out of `runs` and tells when."""
    ended: list[tuple[_Run, float]] = []
    while runs and now_s < until_s:
        speeds = _speeds(runs, devices, now_s)
        changes_s = [_change_s(run, speed, now_s) for run, speed in zip(runs, speeds, strict=True)]
        passing_s = min(until_s - now_s, *changes_s)
        now_s += passing_s
        for run, speed in zip(runs, speeds, strict=True):
            run.left_s -= speed * passing_s
        ended += [(run, now_s) for run in runs if run.left_s <= EPSILON_S]
        runs[:] = [run for run in runs if run.left_s > EPSILON_S]
    return ended


def _change_s(run: _Run, speed: float, now_s: float) -> float:
    """Until it ends or, while it waits, until one device is too slow for it."""
    if speed:
        return run.left_s / speed
    slack_s = run.due_s - now_s - run.left_s
    return slack_s + 2 * EPSILON_S if slack_s > -EPSILON_S else inf


def _first_late_s(runs: Sequence[_Run], devices: int, now_s: float) -> float:
    """The earliest deadline that would be missed if nobody else came; inf when none would."""
    ended = _advance([replace(run) for run in runs], devices, now_s, inf)
    return min((run.due_s for run, end_s in ended if end_s > run.due_s + EPSILON_S), default=inf)
