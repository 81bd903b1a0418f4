"""What admission is told about a request and the system, gathered from the state."""

from dataclasses import replace
from math import ceil, inf

from brickwork.control.admission import STALE_S, Admitted, Arrival, Company, Later, Refused
from brickwork.control.batching import MAX_BATCH
from brickwork.control.facts import longest_s
from brickwork.control.promises import Promise, is_due
from brickwork.control.records import Rank, RequestRecord, TaskRecord
from brickwork.control.speeds import Speed, speeds
from brickwork.control.turn import Turn
from brickwork.core.request import Outcome

MAX_FREES = 64
"""Busy executors that are looked at one by one; of more, every n-th, while all are of one type: a rare one could be
missed."""

MIN_WAIT = 0.2
"""Of a request's path: shorter waits say nothing about how waits are predicted."""


def judge(turn: Turn, request: RequestRecord, promise: Promise | None) -> Admitted | Refused:
    """Ask the policy about a request that is not yet part of the state; if one device is too slow for it, on so many at
    once as would be in time, few first.

    promise    that was given to it when it was refused before
    """
    arrival = _arrival(turn, request, promise)
    pace = arrival.companies[0].pace
    wides = [replace(arrival, devices=n, companies=[Company(path_s, pace)]) for n, path_s in request.spreads.items()]
    verdicts = [turn.policies.admit(each) for each in wides or [arrival]]
    return next((verdict for verdict in verdicts if isinstance(verdict, Admitted)), verdicts[-1])


def is_outdated(turn: Turn, request: RequestRecord) -> bool:
    """Whether the request looks hopeless only by what was measured long ago."""
    given_s, state = request.due_s - request.arrived_s, turn.state
    is_quiet = not state.requests and turn.now_s - state.measured_s >= STALE_S
    return request.has_deadline and is_quiet and request.fastest_s > given_s >= _profiled_s(turn, request)


def learn_end(turn: Turn, request: RequestRecord, outcome: Outcome) -> None:
    """Take in whether a request with a deadline was in time, above all one that had to wait."""
    if outcome not in (Outcome.SUCCEEDED, Outcome.EXPIRED) or request.request.slo.deadline_s is None:
        return
    was_late = outcome is Outcome.EXPIRED or request.is_late or turn.now_s > request.due_s
    turn.state.shares.learn(request.request.workflow, not was_late)
    if MIN_WAIT * request.path_s < request.wait_s < inf:
        turn.state.allowance.learn(was_late)


def _arrival(turn: Turn, request: RequestRecord, promise: Promise | None) -> Arrival:
    state, promises = turn.state, turn.state.promises
    nowhere = [model for model in request.facts.models.values() if not state.replicas(model.id)]
    rank = turn.policies.rank(request.rank_due_s, request.path_s, False, request.number, 0)
    own_s = request.work_s
    return Arrival(
        now_s=turn.now_s,
        arrived_s=request.arrived_s,
        deadline_s=request.due_s if request.has_deadline else None,
        fastest_s=request.fastest_s,
        profiled_s=_profiled_s(turn, request) if request.fastest_s > request.due_s - request.arrived_s else 0.0,
        quiet_s=turn.now_s - state.measured_s,
        companies=_companies(turn, request),
        load_s=sum([turn.estimate.load_s(turn.device, model) for model in nowhere], 0.0),
        start_s=rank[0],
        own_s=own_s,
        queued_s=state.demand.before(rank),
        typical_s=state.demand.typical_s,
        frees=_frees(turn, request),
        promised_s=promises.kept * promises.demand.before(rank),
        promised_requests=promises.held_requests,
        later=_later(turn, rank) if request.has_deadline else (),
        total_s=state.demand.total_s + promises.kept * promises.demand.total_s,
        is_promised=promise is not None and is_due(promise, turn.now_s),
        allowance=state.allowance.factor,
        requests=len(state.requests),
        dearness=state.shares.dearness(own_s),
        served=state.shares.served(request.request.workflow),
        alone=state.shares.alone(request.request.workflow) if request.has_deadline else 0.0,
    )


def _frees(turn: Turn, request: RequestRecord) -> list[tuple[float, int, float]]:
    """When executors are there for a request, on how many at a time it could begin, and how fast they are together:
    those that are idle or would yield to it now, the others when their batches end. Of many that are equal, some stand
    for those around them. While there are none, those that would be started."""
    state, now_s = turn.state, turn.now_s
    if not state.executors:
        offer = state.offer
        return [(offer.start_s, offer.count, float(offer.count))] if offer and offer.count else []
    busy, executors, known = state.busy_by_free_at, state.executors, speeds(turn, request)
    slack_s = request.due_s - request.path_s - now_s
    sampled = max(1, len(busy) // MAX_FREES) if len(known) == 1 else 1
    alike = next(iter(known.values())) if len(known) == 1 else None
    now, speed_now = _idle(turn, known)
    frees: list[tuple[float, int, float]] = []
    for free_at_s, executor_id in busy.every(sampled):
        executor = executors[executor_id]
        fit, speed = alike or known[executor.device]
        if executor.laxity_s is not None and executor.laxity_s > slack_s:
            now += sampled * fit
            speed_now += sampled * speed
        else:
            frees.append((free_at_s - now_s if free_at_s > now_s else 0.0, sampled * fit, sampled * speed))
    return [(0.0, now, speed_now), *frees] if speed_now else frees


def _idle(turn: Turn, known: dict[str, Speed]) -> tuple[int, float]:
    """On how many idle executors a request could begin, and how fast they all are."""
    idle, executors = turn.state.idle_by_free, turn.state.executors
    if len(known) == 1:
        return len(idle), float(len(idle))
    found = [known[executors[executor_id].device] for executor_id in idle.first(len(idle))]
    return sum([fit for fit, _ in found]), sum([speed for _, speed in found], 0.0)


def _profiled_s(turn: Turn, request: RequestRecord) -> float:
    """Its critical path as the profile has it, without what was learned since."""

    def seconds(task: TaskRecord) -> float:
        works = task.works
        return sum([w.trips * turn.estimate.raw_call_s(request.device, w.key, w.shape, w.rows) for w in works], 0.0)

    paths_s = request.facts.paths_s({name: seconds(task) for name, task in request.tasks.items()})
    return longest_s(paths_s)


def _later(turn: Turn, rank: Rank) -> list[Later]:
    """What was promised and ranks after a request, in order, with all that ranks before it."""
    state, promises = turn.state, turn.state.promises
    return [
        Later(start_s, state.demand.before((start_s, 0, 0)) + promises.kept * before_s)
        for start_s, before_s in promises.demand.later(rank)
    ]


def _companies(turn: Turn, request: RequestRecord) -> list[Company]:
    """The request in batches of 1, 2, 4 ... tasks, no larger than the queue could make them, or its deadline allows."""
    left_s = request.due_s - turn.now_s if request.has_deadline else inf
    state, tasks = turn.state, request.tasks
    largest = min(MAX_BATCH, 1 + ceil(len(state.requests) / max(1, len(state.executors))))
    estimate, device = turn.estimate, request.device
    shares_s = [estimate.equal_batch_s(device, task.works, task.limit) / task.limit for task in tasks.values()]
    share_s = sum(shares_s, 0.0)
    companies, size = [], 1
    while True:
        batches = {name: _batch(turn, device, task, size) for name, task in tasks.items()}
        paths_s = request.facts.paths_s({name: seconds for name, (_, seconds) in batches.items()})
        device_s = sum([seconds / count for count, seconds in batches.values()])
        companies.append(Company(longest_s(paths_s), device_s / share_s if share_s else 1.0))
        if size >= largest or 2.0 * companies[-1].path_s > left_s:
            return companies
        size = min(2 * size, largest)


def _batch(turn: Turn, device: str, task: TaskRecord, size: int) -> tuple[int, float]:
    """How many such tasks would run together when there are `size`, and for how many seconds."""
    count = min(size, task.limit)
    return count, turn.estimate.equal_batch_s(device, task.works, count)
