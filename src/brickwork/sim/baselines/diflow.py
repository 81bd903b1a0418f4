"""B5: the policy of DiFlow, node by node: every encoder, guidance branch and ControlNet of every step is a task.

Ready nodes run first come first served by their request's arrival, the deepest (furthest from the end) first; a worker
may get one while it has at most 10 ms of queued work; the one of least (queued + load + execution) does. Equal
nodes of any request share a batch, up to the published limits: those of latency mode while the free workers suffice
for all that is ready, else those of throughput mode. A request is refused when more are in flight than there are
workers and the work in flight, spread over the workers, exceeds its slack. Each node costs the coordinator 2.5 ms.

    B5     58 GiB of weights a device, least recently used ones pushed out
    B5r    everything resident everywhere
    B5p    everything resident on two sub-clusters whose models fit (the better of the splits that are tried)

source    notes on the DiFlow artifact, commit 746eeb5. A step's ControlNets and base run side by side, as its lazy
          edges allow; the sampler's node costs control time only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import ceil, inf

from brickwork.sim.baselines.clusters import sizes_by_work, split_verdict, sub_clusters
from brickwork.sim.baselines.costs import GIB, WEIGHTS_GIB, Cost, Job, Load
from brickwork.sim.baselines.verdict import Missed, Verdict, verdict, verdict_of_runs

CONTROL_S = 0.0025
QUEUED_S = 0.010

CAPS = {
    "CLIP_Flux": (8, 16), "CLIP_G": (2, 4), "CLIP_L": (4, 8), "CLIP_SD15": (16, 32), "CLIP_SDXL_1": (4, 8),
    "CLIP_SDXL_2": (8, 16), "StableDiffusion15": (4, 8), "StableDiffusion15ControlNetDepth": (4, 8),
    "StableDiffusion3": (1, 2), "StableDiffusion35Large": (1, 2), "StableDiffusion35LargeControlNetCanny": (1, 2),
    "StableDiffusion35LargeControlNetDepth": (1, 2), "StableDiffusion3ControlNetCanny": (1, 2),
    "StableDiffusion3ControlNetPose": (1, 2), "StableDiffusionXL": (1, 4), "StableDiffusionXLControlNetCanny": (1, 2),
    "StableDiffusionXLControlNetDepth": (1, 2), "T5": (1, 2), "T5_Flux": (1, 2),
}  # fmt: skip
"""Rows of a batch in (latency, throughput) mode, as published; models that are not listed: one."""


@dataclass(frozen=True, slots=True)
class _Op:
    """A kind of node."""

    key: str
    shape: str
    model: str
    nbytes: int
    load_s: float
    seconds: tuple[float, ...]  # of a batch of 1, 2 ... rows
    caps: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Stage:
    """Nodes that run side by side."""

    ops: tuple[_Op, ...]
    seconds: float  # of them alone, one after the other


@dataclass(slots=True)
class _Request:
    number: int
    at_s: float
    stages: list[_Stage]  # one after the other
    left_s: float  # of its nodes, alone
    stage: int = 0
    open: int = 0  # nodes of the stage that are not done


_Node = tuple[float, int, int, int, _Op]
"""A ready node: (arrival of its request, -depth, number of the request, position among its stage's nodes, kind)."""

_ARRIVED, _READY, _DONE, _FREE = range(4)
"""Kinds of events, in the order in which simultaneous ones are taken."""


@dataclass(slots=True)
class _Worker:
    free_s: float = 0.0
    resident: dict[str, int] = field(default_factory=dict)  # bytes, least recently used first


@dataclass
class DiFlow:
    """One seed on `devices` workers.

    limit_bytes    of weights on a worker; None: everything is resident
    missed         told of requests that are refused or late; ends the run when it says so
    """

    costs: Sequence[Cost]
    devices: int
    limit_bytes: float | None
    admits: bool = True
    missed: Missed = lambda number: False
    now_s: float = 0.0
    work_s: float = 0.0  # of all requests in flight
    flying: dict[int, _Request] = field(default_factory=dict)
    ready: list[_Node] = field(default_factory=list)
    waiting: dict[int, list[_Node]] = field(default_factory=dict)
    some_free_s: float = 0.0  # no worker is free before; from then on one may be

    def run(self, jobs: Sequence[Job]) -> list[float | None]:
        self.workers = [_Worker() for _ in range(self.devices)]
        stages = _shared([_stages(cost) for cost in self.costs])
        ends: list[float | None] = [None] * len(jobs)
        events: list[tuple[float, int, int, tuple[int, ...]]]  # time, kind, tie, requests
        events = [(job.at_s, _ARRIVED, number, (number,)) for number, job in enumerate(jobs)]
        heapify(events)
        tie = len(jobs)
        while events:
            self.now_s, kind, _, what = heappop(events)
            stops = False
            if kind == _ARRIVED:
                number = what[0]
                if self._accepts(jobs[number], number, stages[jobs[number].kind]):
                    tie += 1
                    heappush(events, (self.now_s + CONTROL_S, _READY, tie, what))
                else:
                    stops = self.missed(number)
            elif kind == _READY:
                self._enable(self.flying[what[0]])
            elif kind == _DONE:
                for number in what:
                    if (ended := self._done(self.flying[number])) is True:
                        ends[number] = self.now_s
                        stops |= self.now_s > jobs[number].due_s and self.missed(number)
                        del self.flying[number]
                    elif ended is False:
                        tie += 1
                        heappush(events, (self.now_s + CONTROL_S, _READY, tie, (number,)))
            if stops:
                break
            for end_s, numbers in self._dispatch():
                tie += 2
                heappush(events, (end_s, _DONE, tie, numbers))
                heappush(events, (max(self.now_s, end_s - QUEUED_S), _FREE, tie + 1, ()))
        return ends

    def _accepts(self, job: Job, number: int, stages: list[_Stage]) -> bool:
        """Whether the request is let in; then it is in flight."""
        solo_s = sum(stage.seconds for stage in stages)
        if self.admits and len(self.flying) >= self.devices:
            longest_s = max(request.left_s for request in self.flying.values())
            slack_s = job.due_s - job.at_s - self.costs[job.kind].solo_s
            if max(self.work_s / self.devices, longest_s) > slack_s:
                return False
        self.work_s += solo_s
        self.flying[number] = _Request(number, job.at_s, stages, solo_s)
        return True

    def _enable(self, request: _Request) -> None:
        """All nodes of the request's stage become ready."""
        depth = request.stage - len(request.stages)
        ops = request.stages[request.stage].ops
        request.open = len(ops)
        for k, op in enumerate(ops):
            node = (request.at_s, depth, request.number, k, op)
            heappush(self.ready, node)
            heappush(self.waiting.setdefault(id(op), []), node)

    def _done(self, request: _Request) -> bool | None:
        """A node has ended: True with the request, False when the next stage follows, None while others run."""
        request.open -= 1
        if request.open:
            return None
        spent_s = request.stages[request.stage].seconds
        request.left_s -= spent_s
        self.work_s -= spent_s
        request.stage += 1
        return request.stage == len(request.stages)

    def _dispatch(self) -> list[tuple[float, tuple[int, ...]]]:
        """Batches that are given to workers now: (end, requests)."""
        started = []
        while self.ready:
            op = self.ready[0][4]
            nodes = self.waiting[id(op)]
            if not nodes or self.ready[0][:4] < nodes[0][:4]:
                heappop(self.ready)  # it went with an earlier batch
                continue
            latest_s = self.now_s + QUEUED_S + 1e-12
            if self.some_free_s > latest_s:
                break
            free = [worker for worker in self.workers if worker.free_s - self.now_s <= QUEUED_S + 1e-12]
            if not free:
                self.some_free_s = min(worker.free_s for worker in self.workers) - 1e-9
                break
            started.append(self._run(op, self._batch(op, len(free)), free))
        return started

    def _batch(self, op: _Op, free: int) -> list[int]:
        nodes = self.waiting[id(op)]
        if len(nodes) <= op.caps[0] or op.caps[0] == op.caps[1]:
            cap = op.caps[0]  # either limit takes as many
        else:
            needed = sum(ceil(len(nodes) / nodes[0][4].caps[0]) for nodes in self.waiting.values() if nodes)
            cap = op.caps[0] if needed <= free else op.caps[1]
        return [heappop(nodes)[2] for _ in range(min(cap, len(nodes)))]

    def _run(self, op: _Op, numbers: list[int], free: list[_Worker]) -> tuple[float, tuple[int, ...]]:
        worker, wait_s = self._chosen(op, free)
        worker.free_s = self.now_s + wait_s + op.seconds[len(numbers) - 1]
        if self.limit_bytes is not None:
            worker.resident.pop(op.model, None)
            worker.resident[op.model] = op.nbytes
            while sum(worker.resident.values()) > self.limit_bytes:
                del worker.resident[next(iter(worker.resident))]
        return worker.free_s, tuple(numbers)

    def _chosen(self, op: _Op, free: list[_Worker]) -> tuple[_Worker, float]:
        """The first worker that can begin soonest, and how long that takes."""
        best, best_s = free[0], inf
        for worker in free:
            wait_s = worker.free_s - self.now_s if worker.free_s > self.now_s else 0.0
            if self.limit_bytes is not None and op.model not in worker.resident:
                wait_s += op.load_s
            if wait_s < best_s:
                best, best_s = worker, wait_s
                if wait_s == 0.0:
                    break
        return best, best_s


def _shared(kinds: list[list[list[_Op]]]) -> list[list[_Stage]]:
    """Equal nodes as one object, whatever workflow they come from: they batch."""
    known: dict[_Op, _Op] = {}
    return [
        [_Stage(tuple(known.setdefault(op, op) for op in ops), sum(op.seconds[0] for op in ops)) for ops in stages]
        for stages in kinds
    ]


def _stages(cost: Cost) -> list[list[_Op]]:
    """Nodes of one request: encoders; for every step base and ControlNets, once for each guidance branch; decode."""
    sizes = {model: (nbytes, load_s) for model, nbytes, load_s in cost.models}

    def ops(stage: int, rows: bool) -> list[_Op]:
        made = []
        for work in cost.works[stage]:
            model = next(
                (each for each in cost.stage_models[stage] if work.key.startswith(each.split("@")[0] + "/")), ""
            )
            nbytes, load_s = sizes.get(model, (0, 0.0))
            caps = CAPS.get(work.key.split("/")[0], (1, 1))
            per = work.rows if not rows else 1
            seconds = tuple(
                cost.profile.call_s(cost.device, work.key, work.shape, per * n, 1) for n in range(1, max(caps) + 1)
            )
            made += [_Op(work.key, work.shape, model, nbytes, load_s, seconds, caps)] * (work.rows if rows else 1)
        return made

    return [ops(0, rows=False), *([ops(1, rows=True)] * cost.steps), ops(2, rows=False)]


def b5(load: Load, devices: int, variant: str, admits: bool = True, stops: bool = False) -> Verdict:
    """Variant "B5", "B5r" or "B5p" of the policy. `stops` as in `verdict_of_runs`."""
    if variant == "B5p":
        return _b5p(load, devices, admits, stops)
    limit = WEIGHTS_GIB * GIB if variant == "B5" else None
    return verdict_of_runs(
        load, lambda jobs, missed: DiFlow(load.costs, devices, limit, admits, missed).run(jobs), stops
    )


def _b5p(load: Load, devices: int, admits: bool, stops: bool) -> Verdict:
    """Sub-clusters by the work that each is offered, and one device to either side of that."""
    best: Verdict | None = None
    for parts in sub_clusters(load.costs):
        for sizes in sizes_by_work(load, parts, devices):
            found = split_verdict(
                load, parts, sizes,
                lambda jobs, count, missed: DiFlow(load.costs, count, None, admits, missed).run(jobs), stops,
            )  # fmt: skip
            if best is None or found.score > best.score:
                best = found
    return best or verdict(load, [[None] * len(jobs) for jobs in load.seeds])
