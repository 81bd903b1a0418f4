"""The passes in their order, and why each stands where it stands. The runner verifies before and after every one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from brickwork.compiler.draft import Draft, draft, verify_draft
from brickwork.compiler.passes.common_subexpressions import common_subexpressions
from brickwork.compiler.passes.critical_path import critical_path
from brickwork.compiler.passes.dead_nodes import dead_nodes
from brickwork.compiler.passes.lifetimes import lifetimes
from brickwork.compiler.passes.loop_roles import loop_roles
from brickwork.compiler.passes.task_fusion import task_fusion
from brickwork.core.errors import WorkflowError
from brickwork.graph.ir import Graph

Pass = Callable[[Draft], Draft]

PASSES: tuple[Pass, ...] = (
    dead_nodes,  # first: what follows need not look at what nobody reads
    common_subexpressions,  # leaves nothing dead: what it drops, nobody reads any more
    loop_roles,  # after the graph's last change, which would invalidate it
    task_fusion,  # after merging: a node with one reader may have had two before
    critical_path,  # orders whole tasks, so after they are made
    lifetimes,  # last: "the last to read" is a matter of order
)

NAMES: tuple[str, ...] = tuple(run.__name__ for run in PASSES)


def run_passes(graph: Graph, names: Sequence[str] = NAMES) -> Draft:
    """The draft of a plan for `graph`.

    names     which passes to run, in the pipeline's order whatever order they are named in
    raises    WorkflowError when the graph is not valid, or, naming the pass, when a pass broke it
    """
    if unknown := [name for name in names if name not in NAMES]:
        raise WorkflowError(f"there is no pass {unknown[0]!r}; the passes are {', '.join(NAMES)}")
    plan = draft(graph)
    verify_draft(plan)
    for run in PASSES:
        if run.__name__ in names:
            plan = run(plan)
            _verify_after(run, plan)
    return plan


def _verify_after(run: Pass, plan: Draft) -> None:
    try:
        verify_draft(plan)
    except WorkflowError as error:
        raise WorkflowError(f"pass {run.__name__} made an invalid plan: {error.message}", error.where) from error
