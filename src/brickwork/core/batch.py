"""What is run together (TaskRun) and how each part of it ended (TaskEnd)."""

from dataclasses import dataclass

from brickwork.core.ids import TaskId
from brickwork.core.request import Scalar
from brickwork.core.tensor import TensorHandle


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One task of a batch, with everything its program needs. Its handles stay leased by whoever gave the order."""

    task_id: TaskId
    attempt: int
    args: tuple[Scalar | TensorHandle, ...]  # in the order of Program.params


@dataclass(frozen=True, slots=True)
class TaskEnd:
    """How one task of a batch ended."""

    task_id: TaskId
    attempt: int
    status: str  # "done" | "failed" | "stopped"
    outputs: tuple[TensorHandle, ...] = ()  # in the order of Program.results
    error: str = ""  # one sentence that names node, model and cause
