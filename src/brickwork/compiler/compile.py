"""From a workflow's graph to its Plan: run the passes, then write every task down as a program in local names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from brickwork.compiler.canonical import Canonical, canonical
from brickwork.compiler.draft import Draft, Group, after, group_of, items_of, readers
from brickwork.compiler.pipeline import NAMES, run_passes
from brickwork.compiler.plan import Plan, PlanTask
from brickwork.core.ids import PlanId
from brickwork.graph.ir import Graph, Node
from brickwork.graph.rewrite import is_scalar, outputs_of
from brickwork.graph.types import Type

ID_DIGITS = 16


def compile_graph(graph: Graph, passes: Sequence[str] = NAMES) -> Plan:
    """Compile a workflow.

    passes    names of the passes to run (`compiler.pipeline.NAMES`); results do not depend on it, only speed does
    raises    WorkflowError when the graph is not valid
    """
    draft = run_passes(graph, passes)
    graph = draft.graph
    types = {input_.name: input_.type for input_ in graph.inputs}
    types |= {value: type_ for item in graph.nodes for value, type_ in outputs_of(item)}
    programs = {group.name: _program(draft, group, types) for group in draft.groups}
    needs = after(draft)
    plan = Plan(
        id=PlanId(""),
        workflow=graph.name,
        inputs=graph.inputs,
        scalars=tuple(item for item in graph.nodes if isinstance(item, Node) and is_scalar(item)),
        tasks=tuple(_task(group, programs[group.name], needs[group.name]) for group in draft.groups),
        programs=tuple(sorted({c.program for c in programs.values()}, key=lambda program: program.id)),
        models=graph.models,
        outputs=graph.outputs,
    )
    return replace(plan, id=_plan_id(plan))


def _program(draft: Draft, group: Group, types: Mapping[str, Type]) -> Canonical:
    owner = group_of(draft)
    returned = {value for _, value in draft.graph.outputs}
    read_by = readers(draft)
    items = items_of(draft, group)
    leaving = [
        value
        for item in items
        for value, _ in outputs_of(item)
        if value in returned or any(owner.get(name) != group.name for name in read_by.get(value, ()))
    ]
    roles = [role for loop, held in draft.roles if loop in group.items for role in held]
    specs = {spec.id: spec for spec in draft.graph.models}
    return canonical(items, roles, leaving, types, specs)


def _task(group: Group, made: Canonical, needs: tuple[str, ...]) -> PlanTask:
    return PlanTask(group.name, made.program.id, made.args, made.results, needs, group.last_uses)


def _plan_id(plan: Plan) -> PlanId:
    """Digest of all that a plan means; the author's lines are no part of it."""
    bare = replace(
        plan,
        inputs=tuple(replace(input_, where="") for input_ in plan.inputs),
        scalars=tuple(replace(node, where="") for node in plan.scalars),
    )
    return PlanId(f"plan-{hashlib.sha256(repr(bare).encode()).hexdigest()[:ID_DIGITS]}")
