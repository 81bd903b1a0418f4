"""What requests consist of in the simulated world: works of tasks, and the tensors that tasks make."""

from collections.abc import Iterable
from dataclasses import dataclass

from brickwork.compiler.instance import ConcreteWork, concrete, resolve, result_specs, task_work
from brickwork.compiler.plan import Plan, PlanTask
from brickwork.core.ids import RequestId, TaskId
from brickwork.core.request import Scalar
from brickwork.core.tensor import TensorHandle, TensorSpec
from brickwork.sim.ledger import Ledger
from brickwork.sim.workload import Arrival

Values = tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True, slots=True)
class _Shape:
    """All that equal requests of a plan have in common."""

    scalars: dict[str, Scalar]
    inputs: tuple[tuple[str, TensorSpec], ...]
    works: dict[str, tuple[ConcreteWork, ...]]  # by task name
    results: dict[str, tuple[TensorSpec, ...]]


class Contents:
    """Looks tasks up by id, for requests that are not over."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._shapes: dict[tuple[int, Values], _Shape] = {}
        self._plans: list[Plan] = []  # kept alive, since their ids are keys
        self._live: dict[RequestId, tuple[Arrival, _Shape]] = {}
        self._accepted: set[RequestId] = set()

    def take(self, arrival: Arrival) -> tuple[tuple[str, TensorHandle], ...]:
        """Know a request from here on; returns its tensor inputs."""
        shape = self._shape(arrival.plan, arrival.request.values)
        self._live[arrival.request.id] = (arrival, shape)
        return tuple((name, self._ledger.put(spec)) for name, spec in shape.inputs)

    def accept(self, request_id: RequestId, lowered: Values) -> None:
        """The request runs, with `lowered` in place of what was asked for."""
        self._accepted.add(request_id)
        if lowered:
            arrival, _ = self._live[request_id]
            values = {**dict(arrival.request.values), **dict(lowered)}
            self._live[request_id] = (arrival, self._shape(arrival.plan, tuple(values.items())))

    def forget(self, request_id: RequestId) -> None:
        self._live.pop(request_id, None)
        self._accepted.discard(request_id)

    def accepted(self) -> Iterable[Arrival]:
        """Requests that were accepted and are not over, in order of arrival: what a job store knows."""
        return [arrival for arrival, _ in self._live.values() if arrival.request.id in self._accepted]

    def drop_tensors(self) -> None:
        self._ledger.take_all()

    def works(self, task_id: TaskId) -> tuple[ConcreteWork, ...]:
        shape, name = self._find(task_id)
        return shape.works[name]

    def outputs(self, task_id: TaskId) -> tuple[TensorHandle, ...]:
        shape, name = self._find(task_id)
        return tuple([self._ledger.put(spec) for spec in shape.results[name]])

    def carries(self, task_id: TaskId) -> tuple[TensorHandle, ...]:
        """What a loop hands over when it is left: one tensor like the task's first result."""
        shape, name = self._find(task_id)
        return (self._ledger.put(shape.results[name][0]),)

    def _find(self, task_id: TaskId) -> tuple[_Shape, str]:
        request_id, _, name = task_id.rpartition("/")
        return self._live[RequestId(request_id)][1], name

    def _shape(self, plan: Plan, values: Values) -> _Shape:
        key = (id(plan), values)
        if key not in self._shapes:
            scalars = resolve(plan, dict(values))
            tasks: dict[str, PlanTask] = {task.name: task for task in plan.tasks}
            self._plans.append(plan)
            self._shapes[key] = _Shape(
                scalars,
                tuple((each.name, concrete(each.type, scalars)) for each in plan.inputs if each.type.is_tensor),
                {name: task_work(plan, task, scalars) for name, task in tasks.items()},
                {name: result_specs(plan, task, scalars) for name, task in tasks.items()},
            )
        return self._shapes[key]
