"""The Plan: all that control sees of a workflow, and the Programs that executors run. No torch, no callables.

A *task* is the unit that control schedules. Its body is a `Program`: a small graph whose names are local, so that
equal work has an equal program id whatever workflow it came from; that equality is what lets tasks of different
workflows share a batch. Arguments are positional: `PlanTask.args[k]` is the value given to `Program.params[k]`.
"""

from dataclasses import dataclass
from typing import NewType

from brickwork.core.ids import ModelId, PlanId
from brickwork.core.model import ModelSpec
from brickwork.graph.ir import Input, Loop, Node
from brickwork.graph.types import Type

ProgramId = NewType("ProgramId", str)


@dataclass(frozen=True, slots=True)
class Role:
    """Nodes of a loop body that must run together: "base" leads the loop, "local" is arithmetic beside it,
    "auxiliary" (a ControlNet) may run elsewhere and send its residuals."""

    kind: str  # "base" | "local" | "auxiliary"
    models: tuple[ModelId, ...]
    nodes: tuple[str, ...]  # names of body nodes


@dataclass(frozen=True, slots=True)
class Work:
    """One profiled piece of a program: how often which model is called at which shape."""

    key: str  # profile key: f"{ModelSpec.profile}/{op}"
    shape: Type  # type whose concrete shape is the shape class (the model's main tensor)
    rows: int | str  # rows that one request adds to a call: a constant, or the name of an int param
    trips: tuple[str, str] | None  # (start, stop) params of the loop it stands in; None: once


@dataclass(frozen=True, slots=True)
class Program:
    """The executable body of a task, in local names."""

    id: ProgramId
    params: tuple[tuple[str, Type], ...]
    body: tuple[Node | Loop, ...]
    results: tuple[tuple[str, Type], ...]  # (local value, type)
    models: tuple[ModelId, ...]  # all that must be resident to run it in one place
    roles: tuple[Role, ...]  # of its loop; () without a loop
    work: tuple[Work, ...]

    @property
    def carries(self) -> int | None:
        """Tensors that a checkpoint of its loop consists of; None without a loop in its body."""
        return next((len(item.carries) for item in self.body if isinstance(item, Loop)), None)


@dataclass(frozen=True, slots=True)
class PlanTask:
    """One schedulable piece of a workflow."""

    name: str  # readable, unique in the plan: "denoise"
    program: ProgramId
    args: tuple[str, ...]  # values: plan inputs, scalars, or results of earlier tasks
    results: tuple[str, ...]  # values it defines, in the order of Program.results
    after: tuple[str, ...]  # names of the tasks whose results it needs, in plan order
    last_uses: tuple[str, ...]  # tensor values that no later task of the plan reads (lifetimes)


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled workflow."""

    id: PlanId
    workflow: str
    inputs: tuple[Input, ...]
    scalars: tuple[Node, ...]  # arithmetic on request inputs, evaluated once per request, in order
    tasks: tuple[PlanTask, ...]  # in an order in which every task comes after those it needs
    programs: tuple[Program, ...]  # sorted by id
    models: tuple[ModelSpec, ...]  # sorted by id
    outputs: tuple[tuple[str, str], ...]  # (result name, value)
