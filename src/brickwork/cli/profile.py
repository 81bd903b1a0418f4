"""`brickwork profile`: measure how fast this machine's executor is, and write it as a profile."""

from pathlib import Path
from typing import Any

import click

from brickwork.cli.flags import PRECISION_HELP, variant_of
from brickwork.compiler.plan import Plan
from brickwork.profile.table import of_classes
from brickwork.workflow.inputs import validate

_EPILOG = """Examples:

\b
brickwork profile -o here.yaml                               # the starter; about a minute on one core
brickwork profile text-to-image image-to-image -o here.yaml --threads 4
brickwork profile text-to-image --model models/sd3 -o sd3.yaml --device my-machine

The file names device, versions and a digest of the code that was measured. Use it in a scenario (profile: here.yaml),
or serve with it.
"""

PROMPT = "a red circle above a blue square"

STEPS = 4
"""Of each request: all take the same time, and a few say how long."""


@click.command(epilog=_EPILOG)
@click.argument("workflows", nargs=-1)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The profile file to write.")
@click.option("--model", metavar="DIR", type=click.Path(path_type=Path), help="Model directory instead of the starter.")
@click.option("--precision", help=f"In which precision: {PRECISION_HELP}.")
@click.option("--compile", "compiled", is_flag=True, help="With torch.compile.")
@click.option("--device", default="cpu-1", show_default=True, help="What the profile calls this type of device.")
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True, help="Threads of the executor.")
@click.option(
    "--repeats", type=click.IntRange(1, 1000), default=7, show_default=True, help="Runs a median is taken of."
)
@click.option(
    "--largest", type=click.IntRange(1, 64), default=16, show_default=True, help="Largest batch, in requests."
)
@click.option("--by-class", is_flag=True, help="The figures stand for other models of the same classes, too.")
def profile(
    workflows: tuple[str, ...],
    output: Path,
    model: Path | None,
    precision: str | None,
    compiled: bool,
    device: str,
    threads: int,
    repeats: int,
    largest: int,
    by_class: bool,
) -> None:
    """Measure the model calls of workflows (text-to-image) by batch size, and their models' loads."""
    from time import monotonic

    from brickwork.cli.catalog import find
    from brickwork.executor.measure import fingerprint, measure
    from brickwork.profile.files import write_profile

    if not output.parent.is_dir():
        raise click.UsageError(f"--output: there is no directory {output.parent}")
    names = workflows or ("text-to-image",)
    plans = [find(name, model, **variant_of(precision, compiled)).plan for name in names]
    started_s = monotonic()
    measured = measure([(plan, _values(plan)) for plan in plans], device, repeats, threads, largest)
    text = write_profile(
        of_classes(measured) if by_class else measured,
        f"brickwork profile {' '.join(names)} --threads {threads} --repeats {repeats}"
        f"{f' --precision {precision}' if precision else ''}{' --compile' if compiled else ''}; {fingerprint()}",
    )
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"--output: {output} cannot be written: {error.strerror}") from None
    print(
        f"{output}: {len(measured.devices[device].calls)} kinds of calls, measured in {monotonic() - started_s:.0f} s"
    )


def _values(plan: Plan) -> dict[str, Any]:
    """Defaults, a prompt and few steps; for pictures anything, as they are measured black."""
    given: dict[str, Any] = {item.name: PROMPT for item in plan.inputs if item.default is None}
    if any(item.name == "steps" for item in plan.inputs):
        given["steps"] = STEPS
    return validate(plan.inputs, given)
