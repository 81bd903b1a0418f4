"""What State holds: one record per request, task, value, executor, replica, model and batch.

Mutable, and changed only inside `Control.handle`. A field's comment says all and only what is in it.
"""

from dataclasses import dataclass, field

from brickwork._native import Ranking
from brickwork.compiler.instance import ConcreteWork, steps_of
from brickwork.compiler.plan import PlanTask, Program, ProgramId
from brickwork.control.facts import Needs, PlanFacts
from brickwork.control.indexes import SortedKeys
from brickwork.control.pace import Pace
from brickwork.control.tasks import TaskState
from brickwork.core.batch import WHOLE, Checkpoint, Layout
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
    group: GroupKey  # where it is while it is READY
    needs: Needs  # of the program
    works: tuple[ConcreteWork, ...]
    shape: str  # shape_key of the task
    rank: Rank
    path_s: float  # critical path from its start, or its checkpoint, to the end of its request, every task alone
    lone_s: float  # seconds of it alone on one device, from its start or its checkpoint
    limit: int  # such tasks that are worth running together; 1 when it has to be alone
    share_s: float  # device seconds it is expected to cost when it shares batches
    missing: int  # tasks of plan.after that are not done
    state: TaskState = TaskState.WAITING
    attempt: int = 1  # attempt that runs now or will run next
    batch: BatchId | None = None  # the batch it runs in; None exactly when it is not DISPATCHED or STOPPING
    checkpoint: Checkpoint | None = None  # where it goes on; control owns its tensors until the task ends
    lost: int = 0  # batches in which it lost its executor
    lost_alone: int = 0  # of those, batches of this task only
    failed_alone: int = 0  # attempts that failed in a batch of this task only
    is_alone: bool = False  # must not share a batch any more
    avoid: ExecutorId | None = None  # executor that is not to run it while there is another

    @property
    def latest_end_s(self) -> float:
        """When it has to end for its request to be in time; of a best-effort one by the soft deadline."""
        return self.request.due_s - self.path_s + self.lone_s

    @property
    def steps(self) -> int:
        """Steps of its loop that are left; 0 without a loop."""
        return steps_of(self.works)

    def set_alone(self) -> None:
        """It must not share a batch any more. For a task that is not READY."""
        self.is_alone = True
        self.group = (self.program.id, self.shape, self.id)


@dataclass(slots=True, eq=False)
class RequestRecord:
    id: RequestId
    request: Request
    facts: PlanFacts
    number: int  # of arrival, from 1
    arrived_s: float  # when it reached the server
    due_s: float  # deadline on control's clock; of a best-effort request the soft one, see scheduling.py
    rank_due_s: float  # the same, moved by what its tenant had; only the order of ready tasks goes by it
    path_s: float  # critical path, every task alone
    fastest_s: float  # with a deadline: the same, every task on as many devices as help
    device: str  # type on which it is predicted, see speeds.py
    scalars: dict[str, Scalar]
    has_deadline: bool  # one that can be met
    spreads: dict[int, float] = field(default_factory=dict)  # if one device is too slow: enough devices -> path there
    tasks: dict[str, TaskRecord] = field(default_factory=dict)  # by PlanTask.name, in plan order
    values: dict[str, ValueRecord] = field(default_factory=dict)  # tensors owned now
    open: int = 0  # tasks not in a terminal state
    running: int = 0  # tasks DISPATCHED or STOPPING
    ending: tuple[Outcome, str, str] | None = None  # (outcome, error, cause) once it can no longer succeed
    wait_s: float = 0.0  # predicted when it was admitted, before its first task begins
    is_late: bool = False  # it goes on as best effort, for it can no longer meet its deadline

    @property
    def work_s(self) -> float:
        """Device seconds of all its tasks, in batches of the size that costs least."""
        return sum([task.share_s for task in self.tasks.values()])


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
    can_step: bool = False  # it obeys Join and Yield
    max_degree: int = 1  # devices, itself included, that may share a batch led by it
    batch: BatchId | None = None  # in flight, led or helped with; None: idle
    free_at_s: float = 0.0  # predicted end of the batch in flight
    loading_until_s: float = 0.0  # predicted end of the loads that were ordered ahead of need
    is_leaving: bool = False  # it was told to leave, and ends its batch before
    laxity_s: float | None = None  # of the batch it leads, while that could yield; None: it cannot

    @property
    def free_bytes(self) -> int:
        return self.memory_bytes - self.weight_bytes - self.activation_bytes


@dataclass(slots=True, eq=False)
class ModelRecord:
    """Where a model is and who wants it. Kept while either is anybody."""

    demand: int = 0  # tasks not ended whose program needs it
    queued: SortedKeys[Rank] = field(default_factory=SortedKeys)  # of those, the ones that wait or are ready
    idle_holders: Ranking = field(default_factory=Ranking)  # by id alone
    busy_holders: Ranking = field(default_factory=Ranking)  # by free_at_s
    lax_holders: Ranking = field(default_factory=Ranking)  # by -laxity_s: of those that may yield

    @property
    def replicas(self) -> int:
        return len(self.idle_holders) + len(self.busy_holders)


@dataclass(slots=True, eq=False)
class BatchRecord:
    """A dispatch that the executor has not finished."""

    id: BatchId
    executor: ExecutorId  # leads it
    group: GroupKey  # of its tasks
    tasks: dict[TaskId, TaskRecord]  # as dispatched, and those that joined; those that ended stay
    predicted: dict[str, float]  # uncorrected compute seconds by work key
    run_s: float  # predicted from its start to its end
    limit: int = 1  # tasks that are worth running together
    layout: Layout = WHOLE
    speedup: float = 1.0  # of the layout, over one device
    helpers: tuple[ExecutorId, ...] = ()  # that live
    pace: Pace | None = None  # None: it has no loop
    is_ending: bool = False  # nobody joins it or asks it to yield: ordered to, or has lost a helper, or a model
    is_waiting: bool = False  # nobody joins it: a result finds no room, and no report has come since
    yields_to: GroupKey | None = None  # the group that it was ordered to yield for
    joined: set[TaskId] = field(default_factory=set)  # tasks that joined later, perhaps too late
    seen: set[tuple[TaskId, int]] = field(default_factory=set)  # (task, attempt) whose ends were reported
    lacks: set[ModelId] = field(default_factory=set)  # models it needs whose load failed
    is_whole: bool = True  # its roster never changed and every end was "done": its time tells about the profile

    @property
    def group_models(self) -> tuple[ModelId, ...]:
        """What its program needs."""
        return next(iter(self.tasks.values())).program.models

    @property
    def running(self) -> list[TaskRecord]:
        """Its tasks that have not ended."""
        return [task for task in self.tasks.values() if task.batch == self.id]
