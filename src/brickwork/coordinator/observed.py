"""What serving took: calls, hops and their scatter, taken from a coordinator's orders and its executors' reports.

A profile that was measured call by call on an idle machine is right about calls. What is served shares its processors
with the coordinator and with other executors, finds caches cold, and pays for what stands between calls. So every
second of a batch is charged to a call (see `observe.spans.charged_s`). What remains of the time from the order to the
report are two hops. It decides nothing and changes nothing.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from statistics import fmean
from typing import Protocol

from brickwork.compiler.instance import ConcreteWork, resolve, task_work
from brickwork.control.actions import Action, Dispatch
from brickwork.control.events import Event, RequestArrived
from brickwork.core.ids import BatchId, RequestId, TaskId
from brickwork.observe.spans import Span, charged_s
from brickwork.profile.table import CallProfile, Curve, DeviceProfile, Profile
from brickwork.wire.messages import Report

Call = tuple[str, str, int]
"""(work key, shape, rows)"""

Charges = list[tuple[Call, float]]
"""Calls of a batch, and the seconds that each is charged with."""


MIN_CALLS = 3
"""Of so many rows, to be a point of the profile: one call that was interrupted takes several times its due. Where there
are no others, fewer must do."""


class Observer(Protocol):
    """Told by a coordinator what happens. Must be quick and not raise."""

    def told(self, event: Event, orders: Sequence[Action], now_s: float) -> None:
        """Control was told `event` at `now_s` and answered with `orders`, which are carried out next."""

    def reported(self, report: Report, now_s: float) -> None:
        """An executor's report has been taken in; control is told of it next."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How fast a set served."""

    profile: Profile  # mean seconds of the calls that were made
    hop_s: float  # one way between coordinator and executor, what both do about a message included; mean
    noise: float  # deviation of a batch's seconds from the profile's, relative


@dataclass(slots=True)
class Notes:
    """An observer that keeps what it is told, for a stretch of serving. Models should be loaded when it begins."""

    requests: dict[RequestId, RequestArrived] = field(default_factory=dict)
    ordered_s: dict[BatchId, float] = field(default_factory=dict)
    reports: list[tuple[float, Report]] = field(default_factory=list)

    def told(self, event: Event, orders: Sequence[Action], now_s: float) -> None:
        if isinstance(event, RequestArrived):
            self.requests[event.request.id] = event
        self.ordered_s |= {order.batch: now_s for order in orders if isinstance(order, Dispatch)}

    def reported(self, report: Report, now_s: float) -> None:
        if report.batch in self.ordered_s:  # else it began before this observer
            self.reports.append((now_s, report))


def serving(notes: Notes, device: str, loads: DeviceProfile) -> Serving:
    """How fast executors of type `device` served; loads are taken from `loads`.

    raises    ValueError when no batch has ended
    """
    charges, hops_s = _charges(notes), _hops_s(notes)
    if not hops_s:
        raise ValueError("no batch has ended since the observer was set")
    seconds: dict[Call, list[float]] = defaultdict(list)
    for call, taken_s in chain.from_iterable(charges):
        seconds[call].append(taken_s)
    mean_s = {call: fmean(taken) for call, taken in sorted(seconds.items())}
    table: dict[str, dict[str, CallProfile]] = defaultdict(dict)
    for (key, shape), group in groupby(mean_s, key=lambda call: call[:2]):
        calls = list(group)
        often = [call for call in calls if len(seconds[call]) >= MIN_CALLS] or calls
        table[key][shape] = CallProfile(Curve(tuple((call[2], mean_s[call]) for call in often)))
    measured = DeviceProfile(table, loads.load_base_s, loads.load_bytes_per_s, loads.loads_s)
    return Serving(Profile({device: measured}), fmean(hops_s), _noise(charges, mean_s))


def _charges(notes: Notes) -> list[Charges]:
    """By batch."""
    works = _Works(notes.requests)
    charges: dict[BatchId, Charges] = defaultdict(list)
    spent_s: dict[BatchId, float] = defaultdict(float)
    for _, report in notes.reports:
        spans = [span for span in report.spans if span.model]
        if not spans or not all(works.knows(span) for span in spans):
            continue
        seconds = charged_s(spans, report.compute_s - spent_s[report.batch])
        charges[report.batch] += zip(map(works.call, spans), seconds, strict=True)
        spent_s[report.batch] = report.compute_s
    return list(charges.values())


def _hops_s(notes: Notes) -> list[float]:
    """Half of what each order and its report took beside the batch."""
    return [
        (now_s - notes.ordered_s[report.batch] - report.compute_s) / 2
        for now_s, report in notes.reports
        if report.is_last
    ]


class _Works:
    """What the calls of requests are, as a profile names them."""

    def __init__(self, requests: Mapping[RequestId, RequestArrived]):
        self._requests = requests
        self._known: dict[TaskId, dict[str, ConcreteWork]] = {}  # by key

    def knows(self, span: Span) -> bool:
        return _request(span) in self._requests

    def call(self, span: Span) -> Call:
        task, plan = TaskId(span.tasks[0]), self._requests[_request(span)].plan
        if task not in self._known:
            self._known[task] = self._of(task, self._requests[_request(span)])
        profile = next(model.profile for model in plan.models if model.id == span.model)
        work = self._known[task][f"{profile}/{span.op}"]
        return work.key, work.shape, work.rows * len(span.tasks)

    def _of(self, task_id: TaskId, arrived: RequestArrived) -> dict[str, ConcreteWork]:
        plan, name = arrived.plan, task_id.rpartition("/")[2]
        task = next(task for task in plan.tasks if task.name == name)
        return {work.key: work for work in task_work(plan, task, resolve(plan, dict(arrived.request.values)))}


def _request(span: Span) -> RequestId:
    return RequestId(span.tasks[0].rpartition("/")[0])


def _noise(charges: Sequence[Charges], mean_s: Mapping[Call, float]) -> float:
    """Long batches count for more: they are what requests wait for."""
    pairs = [(sum(taken_s for _, taken_s in batch), sum(mean_s[call] for call, _ in batch)) for batch in charges]
    squares = sum((taken_s - expected_s) ** 2 for taken_s, expected_s in pairs)
    return float((squares / sum(expected_s**2 for _, expected_s in pairs)) ** 0.5)
