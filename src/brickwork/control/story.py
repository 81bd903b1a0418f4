"""What happened to each request and why, in a bounded ring.

Lines are kept as they come (an action, a transition, or a sentence) and written out only when somebody asks, since
telling must cost little on every event and reading happens after something went wrong.
"""

from collections import deque

from brickwork.control.actions import (
    Accept,
    Action,
    Assist,
    Dispatch,
    Finish,
    Join,
    Leave,
    Load,
    Release,
    Stop,
    Unload,
    Yield,
)
from brickwork.control.tasks import TaskState
from brickwork.core.ids import RequestId, TaskId
from brickwork.core.record import record

MAX_LINES = 20_000
"""Lines kept over all requests: some 1,000 requests of three tasks, a few MB."""


@record(frozen=True, slots=True)
class Moved:
    """A task took a transition."""

    task: TaskId
    before: TaskState
    after: TaskState
    reason: str
    event: str


Told = Action | Moved | str
"""What a line is made of."""


class Story:
    """A ring of (time, request, what happened)."""

    def __init__(self, max_lines: int = MAX_LINES):
        self._lines: deque[tuple[float, RequestId, Told]] = deque(maxlen=max_lines)

    def tell(self, now_s: float, request_id: RequestId, what: Told) -> None:
        self._lines.append((now_s, request_id, what))

    def of(self, request_id: RequestId) -> list[str]:
        """The lines about one request, oldest first; scans the ring."""
        return [f"{now_s:.6f} {written(what)}" for now_s, about, what in self._lines if about == request_id]


def written(what: Told) -> str:
    """One line for one action, transition or sentence."""
    if isinstance(what, str):
        return what
    if isinstance(what, Moved):
        return f"{what.task} {what.before} -> {what.after}: {what.reason} <- {what.event}"
    return f"{type(what).__name__} {_detail(what)} <- {what.cause}"


def _detail(action: Action) -> str:
    match action:
        case Accept():
            return f"{action.request_id}, finish predicted at {action.predicted_finish_s:.3f}"
        case Dispatch() | Join():
            runs = ", ".join(f"{run.task_id}#{run.attempt}" for run in action.runs)
            helpers = ", ".join(action.helpers) if isinstance(action, Dispatch) else ""
            return f"batch {action.batch} to {action.executor}{helpers and f' with {helpers}'}: {runs}"
        case Assist():
            return f"{action.executor} helps {action.leader} with batch {action.batch}"
        case Yield():
            return f"batch {action.batch} on {action.executor}"
        case Load():
            return f"{action.model.id} on {action.executor}"
        case Unload():
            return f"{action.model} on {action.executor}"
        case Stop():
            return f"{action.task_id} of batch {action.batch} on {action.executor}"
        case Leave():
            return action.executor
        case Release():
            return f"{len(action.handles)} tensors"
        case Finish():
            return f"{action.request_id} {action.outcome}" + (f": {action.error}" if action.error else "")
