"""A plan for one request: its scalars, its shapes, its work. Pure functions that control and simulator share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from brickwork.compiler.plan import Plan, PlanTask, Program, Work
from brickwork.core.errors import InputError
from brickwork.core.request import Scalar
from brickwork.core.tensor import TensorSpec
from brickwork.graph.rewrite import definer, dims_of, types_of
from brickwork.graph.scalars import ScalarError, evaluate
from brickwork.graph.types import Dim, Type


class ConcreteWork(NamedTuple):
    """One profiled piece of a task, for one request. A tuple, since control compares and hashes many."""

    key: str  # profile key: f"{ModelSpec.profile}/{op}"
    shape: str  # shape class: "1x16x8x8"
    rows: int  # rows that the request adds to a call
    trips: int  # how often the call is made
    is_step: bool = False  # it stands in the loop: one call a step


def steps_of(works: tuple[ConcreteWork, ...]) -> int:
    """Steps of a task's loop; 0 without a loop."""
    steps = 0
    for work in works:
        if work.is_step and work.trips > steps:
            steps = work.trips
    return steps


def resolve(plan: Plan, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """All scalars of a request: `values` (validated) and what the plan computes from them.

    raises    InputError naming an input, when arithmetic on it has no result
    """
    wanted = [input_.name for input_ in plan.inputs if not input_.type.is_tensor]
    try:
        return evaluate(plan.scalars, {name: values[name] for name in wanted})
    except ScalarError as error:
        raise InputError(_source(plan, error.node), str(error)) from None


def _source(plan: Plan, node: str) -> str:
    """The first request input that a scalar node depends on."""
    nodes = {n.name: n for n in plan.scalars}
    open_ = [node]
    while open_:
        name = open_.pop(0)
        if name not in nodes:
            return name
        open_ += [definer(use.value) for use in nodes[name].inputs]
    return plan.workflow


def concrete(type_: Type, scalars: Mapping[str, Scalar]) -> TensorSpec:
    """Shape and dtype of a tensor type, once the ints that its dims name are known."""
    return TensorSpec(tuple(_length(axis, scalars) for axis in type_.shape), type_.dtype)


def _length(axis: int | Dim, scalars: Mapping[str, Scalar]) -> int:
    if isinstance(axis, int):
        return axis
    return _int(scalars[axis.scalar]) * axis.times // axis.over


def _int(scalar: Scalar) -> int:
    assert isinstance(scalar, int)
    return scalar


def program_of(plan: Plan, task: PlanTask) -> Program:
    return next(program for program in plan.programs if program.id == task.program)


def _locals(program: Program, task: PlanTask, scalars: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The program's scalar params, by their local names."""
    named = zip(program.params, task.args, strict=True)
    return {local: scalars[value] for (local, type_), value in named if not type_.is_tensor}


def result_specs(plan: Plan, task: PlanTask, scalars: Mapping[str, Scalar]) -> tuple[TensorSpec, ...]:
    """The tensors that a task will make, in the order of its results."""
    program = program_of(plan, task)
    local = _locals(program, task, scalars)
    return tuple(concrete(type_, local) for _, type_ in program.results)


def task_work(plan: Plan, task: PlanTask, scalars: Mapping[str, Scalar]) -> tuple[ConcreteWork, ...]:
    """What a task will ask of models, in program order."""
    program = program_of(plan, task)
    local = _locals(program, task, scalars)
    return tuple(_concrete_work(work, local) for work in program.work)


def _concrete_work(work: Work, local: Mapping[str, Scalar]) -> ConcreteWork:
    rows = _int(local[work.rows]) if isinstance(work.rows, str) else work.rows
    trips = 1
    if work.trips is not None:
        start, stop = work.trips
        trips = max(0, _int(local[stop]) - _int(local[start]))
    shape = "x".join(map(str, concrete(work.shape, local).shape))
    return ConcreteWork(work.key, shape, rows, trips, work.trips is not None)


def shape_key(plan: Plan, task: PlanTask, scalars: Mapping[str, Scalar]) -> str:
    """All that decides the shapes inside a task: tasks with equal program and equal key may share a batch."""
    program = program_of(plan, task)
    local = _locals(program, task, scalars)
    shaping = _shaping(program)
    return " ".join(f"{name}={local[name]}" for name, _ in program.params if name in shaping)


def _shaping(program: Program) -> set[str]:
    """The scalar params on which shapes inside the program depend."""
    types = [type_ for _, type_ in program.params]
    types += [type_ for item in program.body for type_ in types_of(item)]
    rows = {work.rows for work in program.work if isinstance(work.rows, str)}
    return rows | {dim for type_ in types for dim in dims_of(type_)}


def sizing(plan: Plan) -> tuple[str, ...]:
    """The scalars on which `task_work` and `shape_key` of the plan's tasks depend: steps and sizes, not prompts."""
    found: dict[str, None] = {}
    for task in plan.tasks:
        program = program_of(plan, task)
        names = _shaping(program)
        for work in program.work:
            names.update(work.trips or (), dims_of(work.shape))
        for (local, _), value in zip(program.params, task.args, strict=True):
            if local in names:
                found[value] = None
    return tuple(found)
