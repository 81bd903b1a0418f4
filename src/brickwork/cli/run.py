"""`brickwork run WORKFLOW ...`: one request on an embedded cluster, its flags made from the workflow's inputs."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from brickwork.cli.flags import PRECISION_HELP, variant_of

_EPILOG = """Examples:

\b
brickwork run text-to-image "a red circle above a blue square" -o picture.png
brickwork run text-to-image "a green triangle" --seed 7 --steps 20 --executors 3
brickwork run image-to-image picture.png "a blue square" --strength 0.7
brickwork run text-to-image "a red circle" --precision bf16
brickwork run image-to-video photo.png "moves left" -o clip.mp4
brickwork run my_workflows.py:poster "..."        # your own, see docs/guides/workflows.md
"""


class RunGroup(click.Group):
    """Each workflow is a command; its arguments and options come from the workflow itself."""

    def __init__(self, name: str):
        super().__init__(name=name, help="Run one request and write its result.", epilog=_EPILOG)
        self.no_args_is_help = True
        self.subcommand_metavar = "WORKFLOW [INPUTS]..."

    def list_commands(self, _context: click.Context) -> list[str]:
        from brickwork.cli.catalog import shipped_names

        return shipped_names()

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        return self._command(name, None, {})

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-"):
            model = _flag(args[1:], "--model")
            variant = variant_of(_flag(args[1:], "--precision"), "--compile" in args)
            return args[0], self._command(args[0], Path(model) if model else None, variant), args[1:]
        return super().resolve_command(context, args)

    def _command(self, name: str, model: Path | None, variant: dict[str, Any]) -> click.Command:
        from brickwork.cli.catalog import find

        workflow = find(name, model, **variant)
        parameters: list[click.Parameter] = [_parameter(item) for item in workflow.inputs]
        return click.Command(
            name,
            params=[*parameters, *_common_options(name, _result_of(workflow))],
            callback=_callback(workflow),
            help=workflow.graph.doc,
        )


def _flag(args: list[str], name: str) -> str | None:
    """What `--model DIR` or `--precision HOW` say: they decide what is run, so they are read before the other flags."""
    for k, arg in enumerate(args):
        if arg == name and k + 1 < len(args):
            return args[k + 1]
        if arg.startswith(f"{name}="):
            return arg.removeprefix(f"{name}=")
    return None


def _parameter(item: Any) -> click.Parameter:
    """A required text or picture is positional, everything else a flag. Values stay text: see cli.flags."""
    if item.default is None:
        return click.Argument([item.name], metavar=item.name.upper())
    flag = "--" + item.name.replace("_", "-")
    from brickwork.cli.flags import shown

    return click.Option([flag, item.name], metavar=item.type.space.upper(), help=shown(item))


def _result_of(workflow: Any) -> Any:
    """The type of what is written: the only result, or the one that shows something."""
    from brickwork.coordinator.values import output_types

    types = output_types(workflow.plan)
    return next((types[name] for name in ("image", "video") if name in types), next(iter(types.values())))


def _common_options(name: str, result: Any) -> list[click.Parameter]:
    suffix = "mp4" if result.space == "video" else "png"
    output = f"{name.partition(':')[2] or name}.{suffix}"
    return [
        click.Option(["-o", "--output", "_output"], type=click.Path(path_type=Path), default=output,
                     show_default=True, help="File to write; the suffix decides the format."),
        click.Option(["--model", "_model"], metavar="DIR", help="Diffusers directory instead of the shipped starter."),
        click.Option(["--precision", "_precision"], metavar="HOW", help=f"In which precision: {PRECISION_HELP}."),
        click.Option(["--compile", "_compile"], is_flag=True, help="With torch.compile: slow first, faster later."),
        click.Option(["--executors", "_executors"], type=click.IntRange(1, 39), default=2, show_default=True,
                     help="Executor processes."),
        click.Option(["--threads", "_threads"], type=click.IntRange(1, 256), default=1, show_default=True,
                     help="Threads of each executor."),
        click.Option(["--memory-budget", "_memory"], default="1GiB", show_default=True,
                     help="Weights each executor may hold."),
        click.Option(["--deadline", "_deadline_s"], type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
                     help="Refuse at once when the result cannot be had in time."),
        click.Option(["--deterministic", "_deterministic"], is_flag=True, help="Never share a batch."),
        click.Option(["--trace", "_trace"], type=click.Path(path_type=Path),
                     help="Write a timeline that ui.perfetto.dev opens."),
        click.Option(["-q", "--quiet", "_quiet"], is_flag=True, help="No progress."),
    ]  # fmt: skip


def _callback(workflow: Any) -> Any:
    def run(**parameters: Any) -> None:
        options = {name: parameters.pop(name) for name in list(parameters) if name.startswith("_")}
        given = {name: value for name, value in parameters.items() if value is not None}
        _run(workflow, given, options)

    return run


def _run(workflow: Any, given: dict[str, str], options: dict[str, Any]) -> None:
    from brickwork.cli.flags import parse_bytes, parse_inputs
    from brickwork.coordinator.values import open_picture
    from brickwork.workflow.inputs import validate

    inputs = parse_inputs(workflow.inputs, given)
    validate(workflow.inputs, inputs)  # all that can be wrong is found before anything is started
    for item in workflow.inputs:
        if item.type.is_tensor:
            inputs[item.name] = open_picture(item.name, inputs[item.name])
    output: Path = options["_output"]
    result_type = _result_of(workflow)
    check_writable(output, result_type.space)
    memory_bytes = parse_bytes("memory-budget", options["_memory"])

    from brickwork.cli.progress import Reporter
    from brickwork.coordinator.cluster import Cluster

    with Reporter(workflow.plan, is_quiet=options["_quiet"]) as reporter:
        with Cluster(options["_executors"], options["_threads"], memory_bytes) as cluster:
            result = cluster.run(
                workflow,
                deadline_s=options["_deadline_s"],
                deterministic=options["_deterministic"],
                on_progress=reporter.update,
                **inputs,
            )
            if options["_trace"] is not None:
                cluster.write_trace(options["_trace"])
        write(result.video if result_type.space == "video" else result.image, output)
        reporter.done(result.seconds)
    print(output)


def check_writable(path: Path, space: str = "image") -> None:
    """Refuse an output that cannot be written before the work is done, not after."""
    from PIL import Image

    from brickwork.core.errors import InputError
    from brickwork.media.video import FORMATS

    if space == "video" and path.suffix.lower().removeprefix(".") not in FORMATS:
        raise InputError("output", f"{path} has no suffix of a clip format; use .mp4, .gif or .webp")
    if space != "video" and path.suffix.lower() not in Image.registered_extensions():
        raise InputError("output", f"{path} has no suffix of a picture format; use .png, .jpg or .webp")
    if path.is_dir() or not path.parent.is_dir():
        raise InputError("output", f"{path} is not a file in an existing directory; create {path.parent} first")
    if not os.access(path.parent, os.W_OK):
        raise InputError("output", f"{path.parent} is not writable")


def write(result: Any, path: Path) -> None:
    """Write a picture or a clip whole or not at all: a temporary file beside `path`, then a rename."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    try:
        result.save(name)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


if sys.platform != "linux":  # memfd, pidfd and abstract sockets
    raise SystemExit("brickwork runs executors on Linux only.")
