"""What becomes of accepted requests that can no longer make their deadline: they take no more devices from others.

As the request asked, it ends as expired, or it goes on as best effort: behind everything with a deadline that can be
met. (Left in its place it would come first: who is late has the least laxity of all.)
"""

from brickwork.control.lateness import is_too_late, watch
from brickwork.control.records import RequestRecord
from brickwork.control.requests import end_early
from brickwork.control.scheduling import soft_deadline_s
from brickwork.control.tasks import QUEUED, TaskState
from brickwork.control.turn import Turn
from brickwork.core.request import Outcome


def look_again(turn: Turn) -> None:
    """Look at every request whose time to be looked at has come."""
    for request in turn.state.latest.due(turn.now_s):
        if not is_too_late(turn, request):
            watch(turn, request)
        elif request.request.slo.if_late == "stop":
            end_early(turn, request, Outcome.EXPIRED, _too_late(turn, request))
        else:
            _demote(turn, request)


def _too_late(turn: Turn, request: RequestRecord) -> str:
    late_s = turn.now_s - request.due_s
    when = f"passed {late_s:.3f} s ago" if late_s >= 0 else f"is in {-late_s:.3f} s"
    return f"The deadline can no longer be met: it {when}, and the request has not ended; it was stopped."


def _demote(turn: Turn, request: RequestRecord) -> None:
    turn.tell(request.id, "too late for its deadline, goes on as best effort")
    request.is_late, request.has_deadline = True, False
    request.due_s = request.rank_due_s = soft_deadline_s(turn.now_s, request.path_s)
    for position, task in enumerate(request.tasks.values()):
        rank = turn.policies.rank(request.due_s, task.path_s, False, request.number, position)
        if task.state in QUEUED:
            turn.state.uncount_work(task)
        if task.state is TaskState.READY:
            turn.state.ready.move(task, rank)
        task.rank = rank
        if task.state in QUEUED:
            turn.state.count_work(task)
