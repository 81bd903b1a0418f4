"""Every message of the stage plane, as tagged msgspec structs.

The coordinator orders (Define, Load, Unload, Run, Stop, Join, Yield), the executor reports (Hello, Loaded, Unloaded,
LoadFailed, Report, Progress, Waiting, Heartbeat). An executor carries out orders as if in the order in which they
arrive, while it loads and unloads models beside a batch that does not need them. Stop, Join and Yield are about a batch
that may be running: those it obeys at the next step boundary.
"""

import msgspec

from brickwork.compiler.plan import Program, ProgramId, Role, Work
from brickwork.core.batch import TaskEnd, TaskRun
from brickwork.core.ids import BatchId, ExecutorId, ModelId, TaskId
from brickwork.core.model import ModelSpec
from brickwork.graph.ir import Loop, Node
from brickwork.graph.types import Type
from brickwork.observe.spans import Span

VERSION = 3
"""Raised with every change that an older peer would misread; Hello carries it and a mismatch ends the connection."""


class WireProgram(msgspec.Struct, frozen=True):
    """A Program whose body tells nodes from loops by position: exactly one of the pair is set."""

    id: ProgramId
    params: tuple[tuple[str, Type], ...]
    body: tuple[tuple[Node | None, Loop | None], ...]
    results: tuple[tuple[str, Type], ...]
    models: tuple[ModelId, ...]
    roles: tuple[Role, ...]
    work: tuple[Work, ...]

    @classmethod
    def of(cls, program: Program) -> "WireProgram":
        body = tuple((None, item) if isinstance(item, Loop) else (item, None) for item in program.body)
        return cls(program.id, program.params, body, program.results, program.models, program.roles, program.work)

    def program(self) -> Program:
        body = tuple(item for pair in self.body for item in pair if item is not None)
        return Program(self.id, self.params, body, self.results, self.models, self.roles, self.work)


class Define(msgspec.Struct, tag="define", frozen=True):
    """Remember this program; later Run messages name it by id."""

    program: WireProgram


class Load(msgspec.Struct, tag="load", frozen=True):
    model: ModelSpec


class Unload(msgspec.Struct, tag="unload", frozen=True):
    model: ModelId


class Run(msgspec.Struct, tag="run", frozen=True):
    batch: BatchId
    program: ProgramId
    runs: tuple[TaskRun, ...]


class Stop(msgspec.Struct, tag="stop", frozen=True):
    batch: BatchId
    task_id: TaskId


class Join(msgspec.Struct, tag="join", frozen=True):
    """Let these tasks take part in the batch from its next step on; void when it has ended."""

    batch: BatchId
    runs: tuple[TaskRun, ...]


class Yield(msgspec.Struct, tag="yield", frozen=True):
    """Leave the batch's loop with checkpoints; see control's Yield."""

    batch: BatchId


class Hello(msgspec.Struct, tag="hello", frozen=True):
    """First message of an executor. `token` is the secret that the fleet gave it at launch."""

    version: int
    executor: ExecutorId
    token: str
    pid: int
    can_step: bool = True  # it obeys Join and Yield
    max_degree: int = 1  # devices, itself included, that may share a batch led by it


class Loaded(msgspec.Struct, tag="loaded", frozen=True):
    model: ModelId
    load_s: float


class Unloaded(msgspec.Struct, tag="unloaded", frozen=True):
    model: ModelId


class LoadFailed(msgspec.Struct, tag="load-failed", frozen=True):
    model: ModelId
    error: str


class Report(msgspec.Struct, tag="report", frozen=True):
    """Tasks of a batch ended; see control's BatchReported. `spans` tells what ran since the last report."""

    batch: BatchId
    ends: tuple[TaskEnd, ...]
    is_last: bool
    compute_s: float
    spans: tuple[Span, ...]


class Progress(msgspec.Struct, tag="progress", frozen=True):
    """A task of a running batch has begun (`step` 0) or taken `step` of `steps` steps. May be dropped."""

    task_id: TaskId
    step: int
    steps: int
    preview: bytes = b""  # PNG of the picture so far; mostly empty


class Waiting(msgspec.Struct, tag="waiting", frozen=True):
    """A result of a running batch finds no room; the executor waits a bounded time, then a Report tells how it went."""

    batch: BatchId
    nbytes: int  # of the result


class Heartbeat(msgspec.Struct, tag="heartbeat", frozen=True):
    """The process is alive and its interpreter runs."""


Order = Define | Load | Unload | Run | Stop | Join | Yield
Notice = Hello | Loaded | Unloaded | LoadFailed | Report | Progress | Waiting | Heartbeat
