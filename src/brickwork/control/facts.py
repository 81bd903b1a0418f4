"""What control looks up in a Plan again and again, worked out once per plan."""

from collections import Counter
from dataclasses import dataclass

from brickwork.compiler.plan import Plan, Program, ProgramId
from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be resident to run a program."""

    models: tuple[ModelSpec, ...]  # in the program's order
    heaviest: tuple[ModelId, ...]  # the same, largest first, ties by id
    weight_bytes: int
    apart: tuple[str, ...]  # keys of the works that may run beside the base: those of auxiliary roles (ControlNets)


class PlanFacts:
    """Indexes over one plan. Immutable after construction."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.programs: dict[ProgramId, Program] = {program.id: program for program in plan.programs}
        self.models: dict[ModelId, ModelSpec] = {model.id: model for model in plan.models}
        self.needs: dict[ProgramId, Needs] = {program.id: self._needs(program) for program in plan.programs}
        self.followers: dict[str, tuple[str, ...]] = {  # names of the tasks that need a task's results
            task.name: tuple(other.name for other in plan.tasks if task.name in other.after) for task in plan.tasks
        }
        self.outputs: frozenset[str] = frozenset(value for _, value in plan.outputs)
        self.readers: Counter[str] = Counter(value for task in plan.tasks for value in set(task.args))
        self.readers.update(self.outputs)  # the caller reads the results

    def _needs(self, program: Program) -> Needs:
        models = tuple(self.models[model] for model in program.models)
        heaviest = sorted(models, key=lambda model: (-model.weight_bytes, model.id))
        auxiliary = {model for role in program.roles if role.kind == "auxiliary" for model in role.models}
        profiles = {model.profile for model in models if model.id in auxiliary}
        apart = tuple(work.key for work in program.work if work.key.rpartition("/")[0] in profiles)
        return Needs(models, tuple(model.id for model in heaviest), sum(m.weight_bytes for m in models), apart)
