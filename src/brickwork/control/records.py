"""What State holds: one record per request, task, value, executor, replica, model and batch.

Mutable, and changed only inside `Control.handle`. A field's comment says all and only what is in it.
"""

from dataclasses import dataclass, field

from brickwork.compiler.instance import ConcreteWork
from brickwork.compiler.plan import PlanTask, Program, ProgramId
from brickwork.control.facts import Needs, PlanFacts
from brickwork.control.indexes import SortedKeys
from brickwork.control.tasks import TaskState
from brickwork.core.ids import BatchId, ExecutorId, ModelId, RequestId, TaskId
from brickwork.core.model import ModelSpec
from brickwork.core.request import Outcome, Request, Scalar
from brickwork.core.tensor import TensorHandle

Rank = tuple[float, int, int]
"""Order among ready tasks: (latest start, number of the request, position in its plan). Distinct for every task."""

GroupKey = tuple[ProgramId, str, str]
"""Tasks that may share a batch: (program, concrete shapes, lane). The lane is "" for all that share, "alone" for
deterministic requests, and the task's id for one that has to run alone after a failure."""


@dataclass(slots=True, eq=False)
class ValueRecord:
    """A tensor that control owns."""

    handle: TensorHandle
    readers: int  # tasks not ended that read it, plus one when it is a result of a request that may succeed


@dataclass(slots=True, eq=False)
class TaskRecord:
    id: TaskId
    request: "RequestRecord"
    plan: PlanTask
    program: Program
    works: tuple[ConcreteWork, ...]
    shape: str  # shape_key of the task
    rank: Rank
    share_s: float  # device seconds it is expected to cost when it shares batches
    missing: int  # tasks of plan.after that are not done
    state: TaskState = TaskState.WAITING
    attempt: int = 1  # attempt that runs now or will run next
    batch: BatchId | None = None  # the batch it runs in; None exactly when it is not DISPATCHED or STOPPING
    lost: int = 0  # batches in which it lost its executor
    lost_alone: int = 0  # of those, batches of this task only
    failed_alone: int = 0  # attempts that failed in a batch of this task only
    is_alone: bool = False  # must not share a batch any more
    avoid: ExecutorId | None = None  # executor that is not to run it while there is another

    @property
    def needs(self) -> Needs:
        return self.request.facts.needs[self.program.id]

    @property
    def group(self) -> GroupKey:
        lane = self.id if self.is_alone else "alone" if self.request.request.slo.deterministic else ""
        return (self.program.id, self.shape, lane)


@dataclass(slots=True, eq=False)
class RequestRecord:
    id: RequestId
    request: Request
    facts: PlanFacts
    number: int  # of arrival, from 1
    due_s: float  # deadline on control's clock; of a best-effort request the soft one, see scheduling.py
    path_s: float  # critical path, every task alone
    scalars: dict[str, Scalar]
    tasks: dict[str, TaskRecord] = field(default_factory=dict)  # by PlanTask.name, in plan order
    values: dict[str, ValueRecord] = field(default_factory=dict)  # tensors owned now
    open: int = 0  # tasks not in a terminal state
    running: int = 0  # tasks DISPATCHED or STOPPING
    ending: tuple[Outcome, str, str] | None = None  # (outcome, error, cause) once it can no longer succeed

    @property
    def has_deadline(self) -> bool:
        return self.request.slo.deadline_s is not None


@dataclass(slots=True, eq=False)
class ReplicaRecord:
    """A model on an executor, from the order to load it until the order to unload it."""

    model: ModelSpec
    is_loaded: bool  # the executor said so
    used_s: float  # when a batch that needs it was last dispatched


@dataclass(slots=True, eq=False)
class ExecutorRecord:
    id: ExecutorId
    device: str
    memory_bytes: int
    host: str
    replicas: dict[ModelId, ReplicaRecord] = field(default_factory=dict)
    weight_bytes: int = 0  # of all replicas
    activation_bytes: int = 0  # reserved by the batch in flight
    batch: BatchId | None = None  # in flight; None: idle
    free_at_s: float = 0.0  # predicted end of the batch in flight

    @property
    def free_bytes(self) -> int:
        return self.memory_bytes - self.weight_bytes - self.activation_bytes


@dataclass(slots=True, eq=False)
class ModelRecord:
    """Where a model is and who wants it. Kept while either is anybody."""

    demand: int = 0  # tasks not ended whose program needs it
    idle_holders: SortedKeys[tuple[ExecutorId]] = field(default_factory=SortedKeys)
    busy_holders: SortedKeys[tuple[float, ExecutorId]] = field(default_factory=SortedKeys)  # (free_at_s, id)

    @property
    def replicas(self) -> int:
        return len(self.idle_holders) + len(self.busy_holders)


@dataclass(slots=True, eq=False)
class BatchRecord:
    """A dispatch that the executor has not finished."""

    id: BatchId
    executor: ExecutorId
    tasks: dict[TaskId, TaskRecord]  # as dispatched; those that ended stay
    predicted: dict[str, float]  # uncorrected compute seconds by work key
    run_s: float  # predicted from its start to its end
    seen: set[tuple[TaskId, int]] = field(default_factory=set)  # (task, attempt) whose ends were reported
    lacks: set[ModelId] = field(default_factory=set)  # models it needs whose load failed
    is_whole: bool = True  # every end so far was "done", so that its time says something about the profile
