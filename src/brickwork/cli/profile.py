"""`brickwork profile`: measure how fast this machine's executor is, and write it as a profile."""

from pathlib import Path

import click

from brickwork.cli.flags import PRECISION_HELP, variant_of

_EPILOG = """Examples:

\b
brickwork profile -o here.yaml                               # the starter; about two minutes on one core
brickwork profile image-to-image -o here.yaml --threads 4
brickwork profile text-to-image --model models/sd3 -o sd3.yaml --device my-machine

The file names device, versions and a digest of the code that was measured. Use it in a scenario (profile: here.yaml),
or serve with it.
"""


@click.command(epilog=_EPILOG)
@click.argument("workflow", default="text-to-image")
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
def profile(
    workflow: str,
    output: Path,
    model: Path | None,
    precision: str | None,
    compiled: bool,
    device: str,
    threads: int,
    repeats: int,
    largest: int,
) -> None:
    """Measure a workflow's model calls by batch size, and its models' loads."""
    from time import monotonic

    from brickwork.cli.catalog import find
    from brickwork.executor.measure import fingerprint, measure
    from brickwork.profile.files import write_profile
    from brickwork.workflow.inputs import validate

    if not output.parent.is_dir():
        raise click.UsageError(f"--output: there is no directory {output.parent}")
    plan = find(workflow, model, **variant_of(precision, compiled)).plan
    values = validate(plan.inputs, {"prompt": "a red circle above a blue square"})
    started_s = monotonic()
    measured = measure(plan, values, device, repeats, threads, largest)
    text = write_profile(
        measured,
        f"brickwork profile {workflow} --threads {threads} --repeats {repeats}"
        f"{f' --precision {precision}' if precision else ''}{' --compile' if compiled else ''}; {fingerprint()}",
    )
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"--output: {output} cannot be written: {error.strerror}") from None
    print(
        f"{output}: {len(measured.devices[device].calls)} kinds of calls, measured in {monotonic() - started_s:.0f} s"
    )
