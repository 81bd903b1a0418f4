"""The commands and their help.

click itself, not Typer: the flags of `run` come from workflows at run time (docs/adr/0004-click.md).
"""

from importlib.metadata import version
from pathlib import Path

import click

from brickwork.cli.bench import bench
from brickwork.cli.models import models
from brickwork.cli.plan import plan
from brickwork.cli.profile import profile
from brickwork.cli.run import RunGroup
from brickwork.cli.serve import serve
from brickwork.cli.simulate import simulate

_EPILOG = """Examples:

\b
brickwork run text-to-image "a red circle above a blue square" -o picture.png
brickwork serve
brickwork bench http://127.0.0.1:8000 --rate 4
brickwork simulate examples/burst.yaml
brickwork plan examples/burst.yaml
brickwork profile -o here.yaml
brickwork workflows text-to-image --plan
brickwork doctor
"""


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("brickwork"), prog_name="brickwork")
def app() -> None:
    """Serve generative-media workflows model by model."""


app.add_command(RunGroup("run"))
app.add_command(serve)
app.add_command(bench)
app.add_command(models)
app.add_command(simulate)
app.add_command(plan)
app.add_command(profile)


@app.command(epilog="Examples: brickwork workflows; brickwork workflows text-to-image --plan")
@click.argument("name", required=False)
@click.option("--model", metavar="DIR", type=click.Path(path_type=Path), help="Model directory instead of the starter.")
@click.option("--graph", is_flag=True, help="Print its graph as text.")
@click.option("--plan", is_flag=True, help="Print the tasks it compiles to.")
def workflows(name: str | None, model: Path | None, graph: bool, plan: bool) -> None:
    """List the workflows that can be run, or show one."""
    from brickwork.cli.workflows import show

    show(name, model, graph, plan)


@app.command()
def doctor() -> None:
    """Check this machine: interpreter, native code, memory, model files, the start of an executor, and the fabrics."""
    from brickwork.cli.doctor import examine

    raise SystemExit(examine())
