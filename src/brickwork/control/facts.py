"""What control looks up in a Plan again and again, worked out once per plan."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from brickwork.compiler.instance import ConcreteWork, shape_key, sizing, task_work
from brickwork.compiler.plan import Plan, Program, ProgramId
from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec
from brickwork.core.request import Scalar

MAX_SIZES = 256
"""Sizes of requests (steps, resolution ...) that are kept for a plan; the one that came first is worked out again."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be resident to run a program."""

    models: tuple[ModelSpec, ...]  # in the program's order
    heaviest: tuple[ModelId, ...]  # the same, largest first, ties by id
    weight_bytes: int
    apart: tuple[str, ...]  # keys of the works that may run beside the base: those of auxiliary roles (ControlNets)


class Size(NamedTuple):
    """How large a task of a request is."""

    works: tuple[ConcreteWork, ...]
    shape: str  # its shape_key


def longest_s(paths_s: Mapping[str, float]) -> float:
    """Seconds of the longest path, which is how long the request takes; 0 without tasks."""
    longest = 0.0
    for path_s in paths_s.values():
        longest = max(longest, path_s)
    return longest


class PlanFacts:
    """Indexes over one plan, and what its requests have in common."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.programs: dict[ProgramId, Program] = {program.id: program for program in plan.programs}
        self.models: dict[ModelId, ModelSpec] = {model.id: model for model in plan.models}
        self.needs: dict[ProgramId, Needs] = {program.id: self._needs(program) for program in plan.programs}
        self.followers: dict[str, tuple[str, ...]] = {  # names of the tasks that need a task's results
            task.name: tuple(other.name for other in plan.tasks if task.name in other.after) for task in plan.tasks
        }
        self.outputs: frozenset[str] = frozenset(value for _, value in plan.outputs)
        self._backwards = tuple((task.name, self.followers[task.name]) for task in reversed(plan.tasks))
        self._sizing = sizing(plan)
        self._sizes: dict[tuple[Scalar, ...], dict[str, Size]] = {}
        self.readers: Counter[str] = Counter([value for task in plan.tasks for value in set(task.args)])
        self.readers.update(self.outputs)  # the caller reads the results

    def sizes(self, scalars: Mapping[str, Scalar]) -> Mapping[str, Size]:
        """How large the tasks of a request are, by name."""
        key = tuple([scalars[name] for name in self._sizing])
        found = self._sizes.get(key)
        if found is None:
            if len(self._sizes) >= MAX_SIZES:
                del self._sizes[next(iter(self._sizes))]
            found = self._sizes[key] = {
                task.name: Size(task_work(self.plan, task, scalars), shape_key(self.plan, task, scalars))
                for task in self.plan.tasks
            }
        return found

    def paths_s(self, seconds: Mapping[str, float]) -> dict[str, float]:
        """Seconds of the critical path from each task to the end of the request, given those of each task."""
        paths_s: dict[str, float] = {}
        for name, followers in self._backwards:
            rest_s = 0.0
            for follower in followers:
                rest_s = max(rest_s, paths_s[follower])
            paths_s[name] = seconds[name] + rest_s
        return paths_s

    def _needs(self, program: Program) -> Needs:
        models = tuple(self.models[model] for model in program.models)
        heaviest = sorted(models, key=lambda model: (-model.weight_bytes, model.id))
        auxiliary = {model for role in program.roles if role.kind == "auxiliary" for model in role.models}
        profiles = {model.profile for model in models if model.id in auxiliary}
        apart = tuple(work.key for work in program.work if work.key.rpartition("/")[0] in profiles)
        return Needs(models, tuple(model.id for model in heaviest), sum(m.weight_bytes for m in models), apart)
