"""The commands and their help."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import click
import typer

from brickwork.cli.run import RunGroup

_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Serve generative-media workflows model by model.",
    epilog='Example: brickwork run text-to-image "a red circle above a blue square" -o picture.png',
)


@_app.callback(invoke_without_command=True)
def _brickwork(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if show_version:
        typer.echo(f"brickwork {version('brickwork')}")
        raise typer.Exit


@_app.command()
def workflows(
    name: Annotated[str | None, typer.Argument(help="Show this one in detail.")] = None,
    model: Annotated[Path | None, typer.Option(help="Model directory instead of the shipped starter.")] = None,
    graph: Annotated[bool, typer.Option("--graph", help="Print its graph as text.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Print the tasks it compiles to.")] = False,
) -> None:
    """List the workflows that can be run, or show one.

    Examples: brickwork workflows; brickwork workflows text-to-image --plan
    """
    from brickwork.cli.workflows import show

    show(name, model, graph, plan)


@_app.command()
def doctor() -> None:
    """Check this machine: interpreter, native code, memory, model files, and a start of an executor."""
    from brickwork.cli.doctor import examine

    raise typer.Exit(examine())


def app() -> None:
    """Parse the command line and run the command."""
    command = typer.main.get_command(_app)
    assert isinstance(command, click.Group)
    command.add_command(RunGroup(name="run"), "run")
    command()
