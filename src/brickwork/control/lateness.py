"""When can an accepted request no longer make its deadline?

When even alone, begun at once, on as many devices as help, the rest of it would end too late. That is the least it can
take, so a request is never given up for a queue that may clear. Predictions are not that exact: TOLERANCE of the rest
is allowed beyond the deadline.

    due 10.0; encode 0.1 s, denoise 2.0 s, decode 0.4 s, one device at a time
    encode waits    too late after 10.125 - 2.5 = 7.625
    denoise runs    it may end now, so too late after 10.12 - 0.4 = 9.72
    decode waits    too late after 10.02 - 0.4 = 9.62
"""

from brickwork.control.records import RequestRecord, TaskRecord
from brickwork.control.tasks import TaskState
from brickwork.control.turn import Turn

TOLERANCE = 0.05
"""Share of the rest of a request by which its prediction may be wrong. Corrected predictions are within it on a device
that nothing else uses."""

MIN_LOOK_S = 1e-3
"""Shortest time after which a request is looked at again."""


def watch(turn: Turn, request: RequestRecord) -> None:
    """Look at the request again when it could first be too late. For requests with a deadline that can be met."""
    looks_s = [_late_from_s(turn, task) for task in _begun(request)]
    if request.has_deadline and not request.ending and looks_s:
        look_s = max(min(looks_s), turn.now_s + MIN_LOOK_S)
        turn.state.latest.watch(request, look_s, len(turn.state.requests))


def is_too_late(turn: Turn, request: RequestRecord) -> bool:
    """Whether it cannot end in time any more."""
    return any(_late_from_s(turn, task) < turn.now_s for task in _begun(request))


def _begun(request: RequestRecord) -> list[TaskRecord]:
    """The tasks on which everything else waits."""
    return [task for task in request.tasks.values() if task.state in (TaskState.READY, TaskState.DISPATCHED)]


def _late_from_s(turn: Turn, task: TaskRecord) -> float:
    """The time from which on the request is too late, as far as this task tells.

    A task that runs may end now; one that waits still has all of its path before it.
    """
    request = task.request
    if task.state is TaskState.READY:
        path_s = task.path_s
    else:
        names = request.facts.followers[task.plan.name]
        path_s = max((request.tasks[name].path_s for name in names), default=0.0)
    fastest = request.fastest_s / request.path_s if request.path_s > 0.0 else 1.0
    return request.due_s + TOLERANCE * task.path_s - fastest * path_s
