"""What passes work on: a graph, how it is cut into tasks, and the roles in its loops. With the rules that it obeys."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NoReturn

from brickwork.compiler.plan import Role
from brickwork.core.errors import WorkflowError
from brickwork.graph.ir import Graph, Loop
from brickwork.graph.rewrite import Item, definer, is_scalar, models_of, needs_of
from brickwork.graph.verify import verify


@dataclass(frozen=True, slots=True)
class Group:
    """Items that will be one task."""

    name: str  # of its leading item
    items: tuple[str, ...]  # names, in graph order
    last_uses: tuple[str, ...] = ()  # values that nobody reads after it


@dataclass(frozen=True, slots=True)
class Draft:
    """A plan in the making."""

    graph: Graph
    groups: tuple[Group, ...]  # every item but the arithmetic is in exactly one
    roles: tuple[tuple[str, tuple[Role, ...]], ...] = ()  # by loop


def draft(graph: Graph) -> Draft:
    """The draft in which every item is a task of its own. A pass that changes the graph starts from it again."""
    items = (item for item in graph.nodes if not is_scalar(item))
    return Draft(graph, tuple(Group(item.name, (item.name,)) for item in items))


def items_of(plan: Draft, group: Group) -> list[Item]:
    wanted = set(group.items)
    return [item for item in plan.graph.nodes if item.name in wanted]


def group_of(plan: Draft) -> dict[str, str]:
    """The group of every item, by name."""
    return {item: group.name for group in plan.groups for item in group.items}


def after(plan: Draft) -> dict[str, tuple[str, ...]]:
    """For each group, the groups whose results it needs, in the order of groups."""
    owner = group_of(plan)
    needs: dict[str, set[str]] = {group.name: set() for group in plan.groups}
    for item in plan.graph.nodes:
        if item.name in owner:
            needs[owner[item.name]] |= {owner[d] for v in needs_of(item) if (d := definer(v)) in owner}
    order = [group.name for group in plan.groups]
    return {name: tuple(other for other in order if other in needs[name] and other != name) for name in order}


def readers(plan: Draft) -> dict[str, list[str]]:
    """For each value, the items that read it, in graph order."""
    found: dict[str, list[str]] = {}
    for item in plan.graph.nodes:
        for value in dict.fromkeys(needs_of(item)):
            found.setdefault(value, []).append(item.name)
    return found


def with_groups(plan: Draft, groups: tuple[Group, ...]) -> Draft:
    return replace(plan, groups=groups)


def verify_draft(plan: Draft) -> None:
    """Raise WorkflowError unless the graph is valid and tasks and roles fit to it."""
    verify(plan.graph)
    grouped = [item for group in plan.groups for item in group.items]
    if sorted(grouped) != sorted(item.name for item in plan.graph.nodes if not is_scalar(item)):
        _fail("the tasks do not hold every item exactly once")
    done: set[str] = set()
    for group in plan.groups:
        if missing := set(after(plan)[group.name]) - done:
            _fail(f"task {group.name} stands before {min(missing)}, whose results it needs")
        done.add(group.name)
        callers = [item for item in items_of(plan, group) if isinstance(item, Loop) or any(models_of(item))]
        if len(callers) > 1:
            _fail(f"task {group.name} joins {callers[0].name} and {callers[1].name}, which both call models")
    _verify_roles(plan)


def _verify_roles(plan: Draft) -> None:
    loops = {item.name: item for item in plan.graph.nodes if isinstance(item, Loop)}
    for name, roles in plan.roles:
        held = sorted(node for role in roles for node in role.nodes)
        if name not in loops or held != sorted(node.name for node in loops[name].body):
            _fail(f"the roles of loop {name} do not hold every node of its body exactly once")


def _fail(message: str) -> NoReturn:
    raise WorkflowError(message)


def print_draft(plan: Draft) -> str:
    """Tasks and roles as text, one a line; the graph itself is printed by `graph.text`."""
    lines = []
    for group in plan.groups:
        frees = f" frees {' '.join(group.last_uses)}" if group.last_uses else ""
        lines.append(f"task {group.name}: {' '.join(group.items)}{frees}")
    for loop, roles in plan.roles:
        for role in roles:
            models = f"<{', '.join(role.models)}>" if role.models else ""
            lines.append(f"role {loop}: {role.kind}{models} {' '.join(role.nodes)}")
    return "\n".join(lines) + "\n"
