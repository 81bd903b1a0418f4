"""`brickwork workflows`: what can be run, and what it is made of."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from brickwork.cli.catalog import find, shipped_names
from brickwork.cli.flags import shown
from brickwork.graph.ir import Loop
from brickwork.graph.text import print_graph
from brickwork.workflow.api import Workflow


def show(name: str | None, model: Path | None, graph: bool, plan: bool) -> None:
    """Print the list, or one workflow: its inputs, its graph, its tasks."""
    console = Console()
    if name is None:
        for each in shipped_names():
            first_line = find(each, model).graph.doc.partition("\n")[0]
            console.print(f"[bold]{each}[/]  {first_line}", soft_wrap=True)
        return
    workflow = find(name, model)
    if graph:
        print(print_graph(workflow.graph))
    elif plan:
        console.print(_tasks(workflow))
    else:
        console.print(workflow.graph.doc)
        console.print(_inputs(workflow))


def _inputs(workflow: Workflow) -> Table:
    table = Table("input", "type", "what it is")
    for item in workflow.inputs:
        table.add_row(item.name, item.type.space, item.doc if item.default is None else shown(item))
    return table


def _tasks(workflow: Workflow) -> Table:
    plan = workflow.plan
    programs = {program.id: program for program in plan.programs}
    table = Table("task", "runs", "on", "after")
    for task in plan.tasks:
        program = programs[task.program]
        operations = [node.op for item in program.body for node in (item.body if isinstance(item, Loop) else (item,))]
        table.add_row(task.name, "\n".join(operations), "\n".join(program.models), "\n".join(task.after))
    return table
