"""Loads models for accepted requests on idle executors, before their tasks are ready.

A request is accepted, its prompt is being encoded, and the executors that hold the model that will denoise it are busy:
an idle one may as well load it now. Looked at with every request that is accepted, for each of its tasks that come
later: when the last task that waits for the task's heaviest model would wait longer for the executors that
hold it than a load takes, counting what is lost with the models that have to leave, one more executor loads it. So a
burst spreads over the fleet as fast as it comes, and not as fast as its prompts are encoded.

    SD3.5-L loads in 1.9 s; 3 executors hold it, one is idle, the others will be in 2 and 5 s; 3 tasks wait: the first
    begins at once, the second in 2 s, the third in 5 s unless it is loaded once more, which makes it 1.9 s
"""

from brickwork.control.placement import LOST_S
from brickwork.control.records import RequestRecord, TaskRecord
from brickwork.control.scaling import least_lost
from brickwork.control.tasks import TaskState
from brickwork.control.turn import Turn


def fetch(turn: Turn, request: RequestRecord) -> None:
    """Load what the later tasks of a request that was just accepted would wait for."""
    for task in request.tasks.values():
        if task.state is TaskState.WAITING and task.needs.models and len(turn.state.idle_by_free):
            _fetch(turn, task)


def _fetch(turn: Turn, task: TaskRecord) -> None:
    leader = next(model for model in task.needs.models if model.id == task.needs.heaviest[0])
    ready_s = task.request.path_s - task.path_s
    saved_s = _wait_s(turn, task) - max(ready_s, turn.estimate.load_s(turn.device, leader))
    if saved_s <= 0.0:
        return
    place = least_lost(turn, leader)
    if place is not None and saved_s > LOST_S * place.lost:
        place.load(turn, f"{task.id} will need it", task.request.id)


def _wait_s(turn: Turn, task: TaskRecord) -> float:
    """How long the last task that waits for the heaviest model of `task` would wait for the executors that hold it; 0
    when none does, as it is loaded where the first task runs."""
    record = turn.state.models[task.needs.heaviest[0]]
    waiting, busy = len(record.queued) - len(record.idle_holders), len(record.busy_holders)
    if waiting <= 0 or not record.replicas:
        return 0.0
    free_at_s = record.busy_holders.number(min(waiting, busy) - 1) if busy else turn.now_s
    return free_at_s - turn.now_s + max(0, waiting - busy) * task.share_s / record.replicas
