"""Policy: which weights count as the same?

Equal model ids mean equal weights (design of `core.model`), so requests of any workflow share replicas and batches.
`share_nothing` gives every workflow copies of its own, which is what one deployment per workflow amounts to; it is
there to measure what sharing is worth.
"""

from dataclasses import replace

from brickwork.compiler.plan import Plan, Program, ProgramId, Role
from brickwork.core.ids import ModelId, PlanId


def share_by_identity(plan: Plan) -> Plan:
    """The plan as it is."""
    return plan


def share_nothing(plan: Plan) -> Plan:
    """The plan with models and programs that no other workflow has."""

    def own(name: str) -> str:
        return f"{name}@{plan.workflow}"

    def models(ids: tuple[ModelId, ...]) -> tuple[ModelId, ...]:
        return tuple(ModelId(own(each)) for each in ids)

    def role(each: Role) -> Role:
        return replace(each, models=models(each.models))

    def program(each: Program) -> Program:
        roles = tuple(map(role, each.roles))
        return replace(each, id=ProgramId(own(each.id)), models=models(each.models), roles=roles)

    return replace(
        plan,
        id=PlanId(own(plan.id)),
        tasks=tuple(replace(task, program=ProgramId(own(task.program))) for task in plan.tasks),
        programs=tuple(map(program, plan.programs)),
        models=tuple(replace(model, id=ModelId(own(model.id))) for model in plan.models),
    )
