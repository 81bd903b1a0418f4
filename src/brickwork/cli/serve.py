"""`brickwork serve`: settings in, a server until it is told to stop."""

from pathlib import Path
from typing import Any

import click

from brickwork.cli import EXIT_INTERRUPTED
from brickwork.cli.flags import PRECISION_HELP, variant_of

_EPILOG = """Examples:

\b
brickwork serve
brickwork serve text-to-image my_workflows.py:poster --port 8080 --executors 3
brickwork serve --config brickwork.toml
BRICKWORK_STATE_DIR=state brickwork serve

Flags win over variables (BRICKWORK_EXECUTORS), those over the file, that over what is shown. Tenants with API keys,
weights and quotas stand in the file: [[tenants]] with name, key_sha256, weight, priority, max_requests.
"""


@click.command(epilog=_EPILOG)
@click.argument("workflows", nargs=-1, metavar="[WORKFLOW...]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with any of these settings.")
@click.option("--model", metavar="DIR", help="Model directory of the shipped workflows instead of the starter.")
@click.option("--precision", metavar="HOW", help=f"In which precision they run: {PRECISION_HELP}.")
@click.option("--compile", "compiled", is_flag=True, help="With torch.compile: slow first, faster later.")
@click.option("--executors", metavar="N", help="Executor processes.  [default: 2]")
@click.option("--threads", metavar="N", help="Threads of each executor.  [default: 1]")
@click.option("--memory-budget", metavar="SIZE", help="Weights each executor may hold.  [default: 1GiB]")
@click.option("--start-method", metavar="HOW", help="forkserver or spawn.  [default: forkserver]")
@click.option("--state-dir", metavar="DIR", help="Jobs and pictures.  [default: ~/.local/state/brickwork]")
@click.option("--host", metavar="ADDRESS", help="Where to listen.  [default: 127.0.0.1]")
@click.option("--port", metavar="P", help="0: any free one; the address is printed.  [default: 8000]")
@click.option("--drain-seconds", metavar="S", help="For running jobs when it is told to stop.  [default: 30]")
@click.option("--keep-days", metavar="D", help="Jobs that have ended, and their pictures.  [default: 30]")
@click.option("--max-body-bytes", metavar="N", help="Largest request that is read.  [default: 10000000]")
def serve(workflows: tuple[str, ...], config: Path | None, precision: str | None, compiled: bool, **flags: Any) -> None:
    """Serve workflows over HTTP: the OpenAI images API, durable jobs, events, and a page.

    A WORKFLOW is a shipped name, module:name or file.py:name; without any, all shipped ones are served.
    """
    import logging

    from brickwork.cli.catalog import find, shipped_names
    from brickwork.server.main import serve as run
    from brickwork.server.settings import settings_of

    given = {name: value for name, value in flags.items() if value is not None}
    settings = settings_of(config, given | ({"workflows": list(workflows)} if workflows else {}))
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    names = settings.workflows or shipped_names(settings.model)
    variant = variant_of(precision, compiled)
    found = [find(name) if ":" in name else find(name, settings.model, **variant) for name in names]
    if not run(settings, found, lambda line: print(line, flush=True)):
        raise SystemExit(EXIT_INTERRUPTED)
