"""What is run together (TaskRun), on which devices (Layout), and how each part of it ended (TaskEnd)."""

from brickwork.core.ids import TaskId
from brickwork.core.record import record
from brickwork.core.request import Scalar
from brickwork.core.tensor import TensorHandle


@record(frozen=True, slots=True)
class Checkpoint:
    """Where a loop was left at a step boundary: all that goes on needs beside the task's arguments."""

    step: int  # steps of the loop that were taken so far
    carries: tuple[TensorHandle, ...]  # in the order of Loop.carries


@record(frozen=True, slots=True)
class TaskRun:
    """One task of a batch, with everything its program needs. Its handles stay leased by whoever gave the order.

    A run with a checkpoint computes what stands before the loop again (noise and other arithmetic), takes the carries
    from the checkpoint, and goes on after its steps.
    """

    task_id: TaskId
    attempt: int
    args: tuple[Scalar | TensorHandle, ...]  # in the order of Program.params
    checkpoint: Checkpoint | None = None


@record(frozen=True, slots=True)
class Layout:
    """How the steps of a loop are spread over devices.

    degree   devices that share every call of the loop: by rows first (the two rows of classifier-free guidance on two
             devices are the CFG twin), then by sequence
    apart    keys of the works (ControlNets) that one further device computes beside the base; () when none does
    """

    degree: int = 1
    apart: tuple[str, ...] = ()

    @property
    def devices(self) -> int:
        return self.degree + bool(self.apart)


WHOLE = Layout()
"""Everything on one device."""


@record(frozen=True, slots=True)
class TaskEnd:
    """How one task of a batch ended."""

    task_id: TaskId
    attempt: int
    status: str  # "done" | "failed" | "stopped" | "yielded" | "bereft" (a helper was lost)
    outputs: tuple[TensorHandle, ...] = ()  # of a done one, in the order of Program.results; of a yielded one, carries
    error: str = ""  # one sentence that names node, model and cause
    step: int = 0  # of a yielded one: steps of its loop that were taken so far, earlier dispatches included
