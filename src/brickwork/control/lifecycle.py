"""What goes with a transition of a task: counters, the ready queue, the story."""

from brickwork.control.records import TaskRecord
from brickwork.control.story import Moved
from brickwork.control.tasks import QUEUED, RUNNING, TABLE, TERMINAL, InvalidTransition, TaskState, Trigger
from brickwork.control.turn import Turn


def move(turn: Turn, task: TaskRecord, trigger: Trigger, reason: str = "") -> None:
    """Take `task` through one transition of the table.

    raises    InvalidTransition with the request's story when the table has none
    """
    state, request, before = turn.state, task.request, task.state
    after = TABLE.get((before, trigger))
    if after is None:
        raise InvalidTransition(task.id, before, trigger, state.story.of(request.id))
    task.state = after
    state.story.tell(turn.now_s, request.id, Moved(task.id, before, after, reason or trigger, turn.event))
    if before is TaskState.READY:
        state.ready.remove(task)
    if before in QUEUED and after not in QUEUED:
        state.uncount_work(task)
    if before in RUNNING and after not in RUNNING:
        task.batch = None
        request.running -= 1
    if after is TaskState.DISPATCHED:
        request.running += 1
    if after is TaskState.READY:
        state.ready.push(task)
        if before in RUNNING:
            state.count_work(task)
    if after in TERMINAL:
        state.end_task(task)
        drop_checkpoint(turn, task)


def drop_checkpoint(turn: Turn, task: TaskRecord) -> None:
    """The task needs its checkpoint no more: it has ended, or it has a newer one."""
    if task.checkpoint is not None:
        turn.release(list(task.checkpoint.carries), task.request.id, f"the checkpoint of {task.id} is not needed")
        task.checkpoint = None
