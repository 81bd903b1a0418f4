"""Bounds: what nothing can exceed, and what a clairvoyant pool reaches.

*fluid*    requests are divisible and known beforehand: only their least work has to fit into the time that there is.
           A proof that no policy holds more, where holding includes the floor of every workflow.
*ideal*    all models resident everywhere, no transfer, no control: earliest deadline first, pre-empted between steps,
           one or two devices for a request (its guidance rows apart), and the dearest requests shed when not all fit
*ideal2*   earliest deadline first on one or two searched sub-clusters, each of whose models fit one device
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush, heapreplace
from itertools import combinations

from brickwork.load.report import MIN_WORKFLOW_ATTAINMENT
from brickwork.sim.baselines.costs import GIB, WEIGHTS_GIB, Cost, Job, Load
from brickwork.sim.baselines.pools import edf_pool
from brickwork.sim.baselines.verdict import Verdict, verdict, verdict_of_counts


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


@dataclass(slots=True)
class _Run:
    """A request in the ideal pool."""

    number: int
    kind: int
    due_s: float
    left_s: float  # device seconds on one device
    steps: int  # of the loop, to be taken
    devices: int = 0  # that work on its step now


@dataclass
class _Pool:
    """Earliest deadline first over `devices` devices, at the grain of steps; see the module."""

    costs: Sequence[Cost]
    devices: int
    sheds: bool = True
    now_s: float = 0.0
    idle: int = 0
    queue: list[_Run] = field(default_factory=list)  # present and not in a step
    running: dict[int, _Run] = field(default_factory=dict)  # in a step, by number
    _has_news: bool = False  # somebody has arrived since the last shedding
    ends: dict[int, float] = field(default_factory=dict)
    missed: list[int] = field(default_factory=list)  # by kind
    offered: list[int] = field(default_factory=list)

    def run(self, jobs: Sequence[Job]) -> list[float | None]:
        self.idle = self.devices
        self.missed, self.offered = [0] * len(self.costs), [0] * len(self.costs)
        events: list[tuple[float, int, _Run]] = []
        for number, job in enumerate(jobs):
            run = _Run(number, job.kind, job.due_s, self.costs[job.kind].solo_s, self.costs[job.kind].steps)
            heappush(events, (job.at_s, number, run))
        count = len(jobs)
        while events:
            self.now_s = events[0][0]
            while events and events[0][0] <= self.now_s:
                self._take(heappop(events)[2])
            for started, seconds in self._start():
                count += 1
                heappush(events, (self.now_s + seconds, count, started))
        return [self.ends.get(number) for number in range(len(jobs))]

    def _take(self, run: _Run) -> None:
        """A request arrives, or has ended a piece of work."""
        if run.devices:
            del self.running[run.number]
            self.idle += run.devices
            run.devices = 0
            if run.steps < 0:
                self.ends[run.number] = self.now_s
                return
        else:
            self.offered[run.kind] += 1
            self._has_news = True
        self.queue.append(run)

    def _start(self) -> list[tuple[_Run, float]]:
        """Give idle devices to the most urgent; with devices to spare, two to a request."""
        for run in [run for run in self.queue if self.now_s + self._fastest_s(run) > run.due_s + 1e-9]:
            self.queue.remove(run)
            self.missed[run.kind] += 1
        self.queue.sort(key=lambda run: (run.due_s, run.number))
        if self.sheds and self._has_news:
            self._shed()
        started: list[tuple[_Run, float]] = []
        spare = self.idle - len(self.queue)
        while self.queue and self.idle:
            run = self.queue.pop(0)
            cost = self.costs[run.kind]
            two = self.idle >= 2 and run.steps > 0 and cost.step_s(2) < cost.step_s(1)
            must = run.due_s - self.now_s - run.left_s < 0
            run.devices = 2 if two and (must or spare > 0) else 1
            spare -= run.devices - 1
            self.idle -= run.devices
            self.running[run.number] = run
            started.append((run, self._piece_s(run, cost)))
        return started

    def _piece_s(self, run: _Run, cost: Cost) -> float:
        """Seconds of the next piece: a step (with the encoding before the first), or the decoding."""
        if run.steps == 0:
            seconds = cost.stage_s(2)
            run.left_s -= seconds
        else:
            seconds = cost.step_s(run.devices)
            run.left_s -= cost.step_s(1)
            if run.steps == cost.steps:
                before_s = cost.solo_s - cost.steps * cost.step_s(1) - cost.stage_s(2)
                seconds += before_s
                run.left_s -= before_s
        run.steps -= 1
        return seconds

    def _shed(self) -> None:
        """Drop the dearest that waits while somebody would be late if all present were served in order of deadline."""
        self._has_news = False
        while (late := self._first_late()) is not None:
            dearest = max(self.queue[: late + 1], key=lambda run: (self._may_miss(run.kind), run.left_s, run.number))
            self.queue.remove(dearest)
            self.missed[dearest.kind] += 1

    def _first_late(self) -> int | None:
        """Position in the queue of the first request that would be late, served alone or by two devices."""
        free = sorted(
            self.now_s + run.left_s / run.devices for run in self.running.values() for _ in range(run.devices)
        )
        free = [self.now_s] * (self.devices - len(free)) + free
        for position, run in enumerate(self.queue):
            end_s = free[0] + run.left_s
            if end_s <= run.due_s + 1e-9:
                heapreplace(free, end_s)
                continue
            first_s, second_s = heappop(free), heappop(free) if free else float("inf")
            end_s = max(first_s, second_s) + self._fastest_s(run)
            if end_s > run.due_s + 1e-9:
                return position
            heappush(free, end_s)
            heappush(free, end_s)
        return None

    def _may_miss(self, kind: int) -> bool:
        """Whether the workflow stays above its floor when one more of its requests is missed."""
        return self.missed[kind] + 1 <= (1 - MIN_WORKFLOW_ATTAINMENT) * self.offered[kind] + 1

    def _fastest_s(self, run: _Run) -> float:
        cost = self.costs[run.kind]
        return run.left_s - max(0, run.steps) * max(0.0, cost.step_s(1) - min(cost.step_s(1), cost.step_s(2)))


def ideal(load: Load, devices: int) -> Verdict:
    """The best of three clairvoyant pools: pre-emptive with and without shedding, and earliest deadline first without
    pre-emption. Each is a policy that somebody could run, so the true optimum lies between this and *fluid*."""
    found = [
        verdict(load, [_Pool(load.costs, devices, sheds).run(jobs) for jobs in load.seeds]) for sheds in (True, False)
    ]
    found.append(verdict(load, [edf_pool(jobs, load.costs, devices) for jobs in load.seeds]))
    return max(found, key=lambda each: each.score)


def ideal2(load: Load, devices: int) -> tuple[tuple[int, ...], Verdict]:
    """Earliest deadline first on the best one or two sub-clusters whose models fit one device; (sizes, verdict)."""
    best: tuple[tuple[int, ...], Verdict] | None = None
    for parts in sub_clusters(load.costs):
        for count in range(1, devices) if len(parts) == 2 else [devices]:
            sizes = (count, devices - count)[: len(parts)]
            found = _split_verdict(load, parts, sizes)
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


def _split_verdict(load: Load, parts: Sequence[frozenset[int]], sizes: Sequence[int]) -> Verdict:
    ends: list[list[float | None]] = [[None] * len(jobs) for jobs in load.seeds]
    for part, size in zip(parts, sizes, strict=True):
        for jobs, seed_ends in zip(load.seeds, ends, strict=True):
            numbers = [number for number, job in enumerate(jobs) if job.kind in part]
            own = edf_pool([jobs[number] for number in numbers], load.costs, size)
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
