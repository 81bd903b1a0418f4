"""The life cycle of a task: every state, every transition, nothing else.

A task is WAITING until its inputs exist, READY until it is part of a batch, DISPATCHED until an executor reports its
end or dies, or reports that it has left its loop at a step boundary: then it is READY again, with a checkpoint. A task
that is no longer wanted is CANCELLED at once, or STOPPING while an executor still has it. What happens around a
transition (indexes, values, orders) is in `lifecycle.py`; when, in the rest of this room. The diagram of
docs/concepts/control.md is the output of `diagram()`.
"""

from enum import StrEnum

from brickwork.core.errors import BrickworkError


class TaskState(StrEnum):
    WAITING = "waiting"
    READY = "ready"
    DISPATCHED = "dispatched"
    STOPPING = "stopping"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    __hash__ = str.__hash__  # Enum's is written in Python; the table is looked up at every transition


class Trigger(StrEnum):
    """Why a task changes its state."""

    ENABLE = "inputs complete"
    DISPATCH = "joins a batch"
    FINISH = "results reported"
    YIELD = "left at a step boundary"
    RETRY = "executor lost or task failed, again"
    GIVE_UP = "no attempt left"
    STOP = "not wanted, running"
    CANCEL = "not wanted"
    END = "executor let go"

    __hash__ = str.__hash__


TABLE: dict[tuple[TaskState, Trigger], TaskState] = {
    (TaskState.WAITING, Trigger.ENABLE): TaskState.READY,
    (TaskState.WAITING, Trigger.CANCEL): TaskState.CANCELLED,
    (TaskState.READY, Trigger.DISPATCH): TaskState.DISPATCHED,
    (TaskState.READY, Trigger.GIVE_UP): TaskState.FAILED,
    (TaskState.READY, Trigger.CANCEL): TaskState.CANCELLED,
    (TaskState.DISPATCHED, Trigger.FINISH): TaskState.DONE,
    (TaskState.DISPATCHED, Trigger.YIELD): TaskState.READY,
    (TaskState.DISPATCHED, Trigger.RETRY): TaskState.READY,
    (TaskState.DISPATCHED, Trigger.GIVE_UP): TaskState.FAILED,
    (TaskState.DISPATCHED, Trigger.STOP): TaskState.STOPPING,
    (TaskState.STOPPING, Trigger.END): TaskState.CANCELLED,
}

QUEUED = (TaskState.WAITING, TaskState.READY)
TERMINAL = (TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED)
RUNNING = (TaskState.DISPATCHED, TaskState.STOPPING)


class InvalidTransition(BrickworkError):
    """A transition that the table does not have: a defect of control. The text tells the request's story."""

    def __init__(self, task_id: str, state: TaskState, trigger: Trigger, story: list[str]):
        told = "\n  ".join(story)
        super().__init__(f"Task {task_id} is {state} and cannot take {trigger.name} ({trigger}).\n  {told}")


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {TaskState.WAITING}"]
    lines += [f"    {state} --> {target}: {trigger}" for (state, trigger), target in TABLE.items()]
    lines += [f"    {state} --> [*]" for state in TERMINAL]
    return "\n".join(lines)
