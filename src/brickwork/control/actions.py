"""What control orders, in the imperative. A driver carries them out in the order given.

Orders to one executor are carried out as if in that order, so `Unload, Load, Dispatch` needs no answer in between.
Models are loaded and unloaded beside a batch that does not need them.
"""

from brickwork.compiler.plan import Program
from brickwork.core.batch import WHOLE, Layout, TaskRun
from brickwork.core.ids import BatchId, ExecutorId, ModelId, RequestId, TaskId
from brickwork.core.model import ModelSpec
from brickwork.core.record import record
from brickwork.core.request import Outcome, Scalar
from brickwork.core.tensor import TensorHandle


@record(frozen=True, slots=True)
class Accept:
    """The request was admitted."""

    request_id: RequestId
    predicted_finish_s: float  # on control's clock
    cause: str
    lowered: tuple[tuple[str, Scalar], ...] = ()  # inputs that were lowered rather than refuse, with their values


@record(frozen=True, slots=True)
class Dispatch:
    """Run these tasks together. All have the same program and the same concrete shapes.

    With helpers, the executor leads: it begins when every helper has come to its Assist, and only it reports. The
    first `layout.degree - 1` helpers share the calls of the loop, a last one computes `layout.apart`. When a helper is
    lost, the leader ends every task as "bereft".
    """

    executor: ExecutorId
    batch: BatchId
    program: Program
    runs: tuple[TaskRun, ...]
    cause: str
    layout: Layout = WHOLE
    helpers: tuple[ExecutorId, ...] = ()


@record(frozen=True, slots=True)
class Assist:
    """Help `leader` with its batch once the orders before this one are carried out, until the batch ends or the leader
    is lost. Helpers report nothing."""

    executor: ExecutorId
    batch: BatchId
    leader: ExecutorId
    cause: str


@record(frozen=True, slots=True)
class Join:
    """Let these tasks take part in a running batch from its next step boundary on.

    They have the batch's program and shapes. When the batch has ended meanwhile, which its last report without them
    tells control, the order is void. A batch that has not begun yet takes them from its start.
    """

    executor: ExecutorId
    batch: BatchId
    runs: tuple[TaskRun, ...]
    cause: str


@record(frozen=True, slots=True)
class Yield:
    """Leave the loop at the next step boundary and hand the device back.

    Every task of the batch that has taken a step since its dispatch and has steps left ends as "yielded", with its
    carries as tensors that control owns from then on; one that has none left ends as usual; one that has not begun its
    loop takes one step first, so that every dispatch makes progress. Void when the batch has ended.
    """

    executor: ExecutorId
    batch: BatchId
    cause: str


@record(frozen=True, slots=True)
class Load:
    executor: ExecutorId
    model: ModelSpec
    cause: str


@record(frozen=True, slots=True)
class Unload:
    executor: ExecutorId
    model: ModelId
    cause: str


@record(frozen=True, slots=True)
class Stop:
    """Give up one task of a running batch at the next step boundary; it ends as "stopped"."""

    executor: ExecutorId
    batch: BatchId
    task_id: TaskId
    cause: str


@record(frozen=True, slots=True)
class Leave:
    """End once the orders before this one are carried out. Nothing more is ordered there; once the executor is idle
    control has forgotten it, whatever becomes of it then."""

    executor: ExecutorId
    cause: str


@record(frozen=True, slots=True)
class Release:
    """Nobody needs these tensors any more."""

    handles: tuple[TensorHandle, ...]
    cause: str


@record(frozen=True, slots=True)
class Finish:
    """The request ended. The driver owns the results' handles from here on."""

    request_id: RequestId
    outcome: Outcome
    results: tuple[tuple[str, TensorHandle | Scalar], ...]
    error: str  # "" when it succeeded
    retry_after_s: float | None  # of a rejected request
    cause: str


Action = Accept | Dispatch | Assist | Join | Yield | Load | Unload | Stop | Leave | Release | Finish
