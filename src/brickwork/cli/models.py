"""`brickwork models`: names for model directories, and what is in them."""

from pathlib import Path
from typing import Any

import click

from brickwork.cli.flags import PRECISION_HELP, variant_of

_EPILOG = """Examples:

\b
brickwork models add ~/models/sd3-medium
brickwork models list
brickwork models show sd3-medium --precision transformer=int8,text_encoder_3=bf16
brickwork run text-to-image "a red circle" --model sd3-medium
"""


@click.group(epilog=_EPILOG)
def models() -> None:
    """Add, list, show and remove models of your own."""


@models.command()
@click.argument("directory", metavar="DIR")
@click.option("--name", help="How to call it.  [default: the directory's name]")
def add(directory: str, name: str | None) -> None:
    """Check a Diffusers directory (or a hub id) and remember it under a name."""
    from brickwork.importers import names
    from brickwork.workflow.catalog import family, resolved

    root = resolved(directory)
    made = family(root)
    name = name or Path(directory).name.lower()
    names.add(name, root)
    print(f"{name}: {_kind(made)} in {root}")


@models.command(name="list")
def list_() -> None:
    """List the models that were added."""
    from rich.console import Console
    from rich.table import Table

    from brickwork.importers import names

    table = Table("name", "pipeline", "directory")
    for name, root in names.known().items():
        table.add_row(name, _class_of(root), str(root))
    Console().print(table)


@models.command()
@click.argument("model", metavar="NAME|DIR")
@click.option("--precision", help=f"In which precision: {PRECISION_HELP}.")
@click.option("--compile", "compiled", is_flag=True, help="With torch.compile.")
def show(model: str, precision: str | None, compiled: bool) -> None:
    """Show the components of a model: identity, variant, bytes in memory."""
    from rich.console import Console
    from rich.table import Table

    from brickwork.workflow.catalog import family, resolved
    from brickwork.workflow.variants import described

    made = family(resolved(model), **variant_of(precision, compiled))
    table = Table("component", "model", "variant", "MB")
    for spec in sorted({spec.id: spec for spec in _specs(made)}.values(), key=lambda spec: spec.path):
        table.add_row(Path(spec.path).name, spec.id, described(spec), f"{spec.weight_bytes / 1e6:,.1f}")
    console = Console()
    console.print(f"{_kind(made)} in {made.root}")
    console.print(table)


@models.command()
@click.argument("name")
def remove(name: str) -> None:
    """Forget a name. The directory stays as it is."""
    from brickwork.importers import names

    print(f"{name} is forgotten; {names.remove(name)} stays")


def _kind(made: Any) -> str:
    return str(made.index.get("_class_name"))


def _class_of(root: Path) -> str:
    from brickwork.core.errors import ModelError
    from brickwork.workflow.components import read_json

    try:
        return str(read_json(root / "model_index.json").get("_class_name"))
    except ModelError:
        return "(gone)"


def _specs(made: Any) -> Any:
    """Every ModelSpec that a family holds, directly or in one of its parts."""
    from dataclasses import fields, is_dataclass

    from brickwork.core.model import ModelSpec

    for value in vars(made).values():
        if isinstance(value, ModelSpec):
            yield value
        elif is_dataclass(value) and not isinstance(value, type):
            parts = (getattr(value, part.name) for part in fields(value))
            yield from (part for part in parts if isinstance(part, ModelSpec))
