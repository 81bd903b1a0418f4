"""What control orders, in the imperative. A driver carries them out in the order given.

Orders to one executor are carried out by it in that order, so `Unload, Load, Dispatch` needs no answer in between.
"""

from dataclasses import dataclass

from brickwork.compiler.plan import Program
from brickwork.core.batch import TaskRun
from brickwork.core.ids import BatchId, ExecutorId, ModelId, RequestId, TaskId
from brickwork.core.model import ModelSpec
from brickwork.core.request import Outcome, Scalar
from brickwork.core.tensor import TensorHandle


@dataclass(frozen=True, slots=True)
class Accept:
    """The request was admitted."""

    request_id: RequestId
    predicted_finish_s: float  # on control's clock
    cause: str


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Run these tasks together. All have the same program and the same concrete shapes."""

    executor: ExecutorId
    batch: BatchId
    program: Program
    runs: tuple[TaskRun, ...]
    cause: str


@dataclass(frozen=True, slots=True)
class Load:
    executor: ExecutorId
    model: ModelSpec
    cause: str


@dataclass(frozen=True, slots=True)
class Unload:
    executor: ExecutorId
    model: ModelId
    cause: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Give up one task of a running batch at the next step boundary; it ends as "stopped"."""

    executor: ExecutorId
    batch: BatchId
    task_id: TaskId
    cause: str


@dataclass(frozen=True, slots=True)
class Release:
    """Nobody needs these tensors any more."""

    handles: tuple[TensorHandle, ...]
    cause: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The request ended. The driver owns the results' handles from here on."""

    request_id: RequestId
    outcome: Outcome
    results: tuple[tuple[str, TensorHandle | Scalar], ...]
    error: str  # "" when it succeeded
    retry_after_s: float | None  # of a rejected request
    cause: str


Action = Accept | Dispatch | Load | Unload | Stop | Release | Finish
