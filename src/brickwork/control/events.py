"""What happens to control, in the past tense. Drivers (coordinator, sim) make these; nobody else does.

Every event may arrive late or twice; `handle` answers such with the release of what the event brought, at most.
"""

from brickwork.compiler.plan import Plan
from brickwork.core.batch import TaskEnd
from brickwork.core.ids import BatchId, ExecutorId, ModelId, RequestId
from brickwork.core.record import record
from brickwork.core.request import Request
from brickwork.core.tensor import TensorHandle


@record(frozen=True, slots=True)
class RequestArrived:
    """`request.values` were validated against `plan.inputs`. Control owns the tensors from here on."""

    request: Request
    plan: Plan
    tensors: tuple[tuple[str, TensorHandle], ...] = ()  # tensor inputs by name
    arrived_s: float | None = None  # when it reached the server, from which its deadline counts; None: now


@record(frozen=True, slots=True)
class CancelRequested:
    request_id: RequestId


@record(frozen=True, slots=True)
class ExecutorJoined:
    executor: ExecutorId
    device: str  # profile's name of the device type: "cpu-1", "h800"
    memory_bytes: int  # budget for weights and activations
    host: str = ""  # boot id of its host, as in TensorHandle.host; "" when all executors share one host
    can_step: bool = False  # it obeys Join and Yield
    max_degree: int = 1  # devices, itself included, that may share a batch led by it


@record(frozen=True, slots=True)
class ExecutorLost:
    """Its process is proven dead, so its leases are gone; tensors that control owns survive it."""

    executor: ExecutorId
    reason: str  # "killed by signal 9"


@record(frozen=True, slots=True)
class ModelLoaded:
    executor: ExecutorId
    model: ModelId
    load_s: float


@record(frozen=True, slots=True)
class ModelUnloaded:
    executor: ExecutorId
    model: ModelId


@record(frozen=True, slots=True)
class LoadFailed:
    executor: ExecutorId
    model: ModelId
    error: str


@record(frozen=True, slots=True)
class BatchReported:
    """Tasks of a batch ended. A batch may report several times (rows with fewer steps leave early, rows that yield
    leave at a step boundary)."""

    executor: ExecutorId
    batch: BatchId
    ends: tuple[TaskEnd, ...]  # control owns their outputs from here on
    is_last: bool  # the executor is done with the batch
    compute_s: float  # from start of the batch to this report, measured on the executor


@record(frozen=True, slots=True)
class ExecutorWaiting:
    """A result of a batch finds no room in the tensor memory of its host. The executor waits a bounded time; the
    batch's next report says how it went."""

    executor: ExecutorId
    batch: BatchId
    nbytes: int  # of the result


@record(frozen=True, slots=True)
class LeaveRequested:
    """The fleet wants executors back. Which ones go is control's choice; fewer than asked for when there are fewer."""

    count: int
    device: str  # type of them


@record(frozen=True, slots=True)
class StartOffered:
    """While the set has no executor, as many as it is asked for are started. Holds until said otherwise; without an
    offer a set that has no executor refuses what has a deadline."""

    start_s: float  # until they are there
    count: int  # that can be had at most


@record(frozen=True, slots=True)
class Woke:
    """The time that `Control.next_wake_s()` asked for has come."""


Event = (
    RequestArrived | CancelRequested | ExecutorJoined | ExecutorLost | LeaveRequested | StartOffered
    | ModelLoaded | ModelUnloaded | LoadFailed | BatchReported | ExecutorWaiting | Woke
)  # fmt: skip
