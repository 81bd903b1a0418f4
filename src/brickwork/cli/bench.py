"""`brickwork bench URL`: offer load to a server and say how much of it was served in time."""

import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from brickwork.cli import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from brickwork.load.bench import Bench
    from brickwork.load.drive import Drive
    from brickwork.load.result import Result

_EPILOG = """Examples:

\b
brickwork bench http://127.0.0.1:8000
brickwork bench http://127.0.0.1:8000 --rate 4 --arrivals gamma --cv 3 --seconds 120
brickwork bench http://127.0.0.1:8000 --workflow text-to-image=3 --workflow text-to-image-quick --slo-scale 3
brickwork bench http://127.0.0.1:8000 --trace arrivals.csv.gz --trace-scale 0.5 --json > result.json
brickwork bench http://127.0.0.1:9000 --api images --no-tell-deadline --workflow sd3   # another server

Requests are sent when they are due, however slowly others are answered. A refused request counts as missed.
"""


class _Number(click.FloatRange):
    """A finite number in a range. (click takes nan for any.)"""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"expected a finite number, got {value!r}", param, ctx)
        return number


_MORE_THAN_0 = _Number(min=0, min_open=True)


@click.command(epilog=_EPILOG)
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@click.option(
    "--workflow",
    "workflows",
    multiple=True,
    default=["text-to-image"],
    show_default=True,
    metavar="NAME[=SHARE]",
    help="What to ask for; repeat it for a mix.",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE",
    help="An input of every request, as JSON or text; NAME=@FILE sends a picture.",
)
@click.option("--prompts", type=click.Path(path_type=Path), metavar="FILE", help="Prompts to draw from, one a line.")
@click.option("--rate", type=_MORE_THAN_0, help="Requests per second on average.  [default: 1]")
@click.option("--seconds", type=_MORE_THAN_0, help="How long to measure.  [default: 60; of a trace: all]")
@click.option(
    "--warm-up", type=_Number(min=0), default=5.0, show_default=True, help="Seconds of load before, which do not count."
)
@click.option("--arrivals", type=click.Choice(["poisson", "gamma"]), help="Gaps between requests.  [default: poisson]")
@click.option("--cv", type=_Number(min=0.01, max=100), help="Burstiness of gamma: deviation / mean of the gaps.")
@click.option(
    "--trace",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Arrival times instead: CSV (or .gz) with a column t_s of seconds.",
)
@click.option("--trace-scale", type=_MORE_THAN_0, help="2 plays the trace twice as fast.  [default: 1]")
@click.option("--slo-scale", type=_MORE_THAN_0, help="Deadline as a multiple of the latency alone.  [default: 2]")
@click.option("--deadline", type=_MORE_THAN_0, metavar="SECONDS", help="Deadline, instead of --slo-scale.")
@click.option(
    "--tell-deadline/--no-tell-deadline",
    "tells_deadline",
    default=True,
    show_default=True,
    help="Whether the server learns the deadline, and may refuse.",
)
@click.option(
    "--api",
    type=click.Choice(["jobs", "images"]),
    default="jobs",
    show_default=True,
    help="brickwork's jobs, or OpenAI's images (NAME is the model).",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Equal seeds offer equal load.")
@click.option("--max-connections", type=click.IntRange(1, 10_000), default=500, show_default=True)
@click.option(
    "--timeout",
    "timeout_s",
    type=_MORE_THAN_0,
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="After which a request without result has failed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def bench(as_json: bool, **flags: Any) -> None:
    """Measure a server under open-loop load: attainment, goodput, refusals, latency.

    With several URLs, each request goes to the one with the fewest in flight.
    """
    import asyncio

    from brickwork.cli.bench_order import order_of
    from brickwork.load.bench import Bench, watch

    order = order_of(**flags)
    run = Bench(order, lambda line: print(line, file=sys.stderr, flush=True))
    is_interrupted = False
    try:
        asyncio.run(watch(run, _tell, every_s=1.0 if sys.stderr.isatty() else 10.0))
    except KeyboardInterrupt:
        is_interrupted = True
    result = run.result()
    if result is None:
        raise KeyboardInterrupt if is_interrupted else click.ClickException("no request was due in the measured time")
    if as_json:
        print(json.dumps(_described(run, flags, is_interrupted) | asdict(result)))
    else:
        _show(result, is_interrupted)
    if is_interrupted:
        raise SystemExit(EXIT_INTERRUPTED)


def _tell(drive: "Drive") -> None:
    """Progress: rewrites one line of a terminal, adds lines to a file."""
    attained = sum(sent.sample.is_attained for sent in drive.ended)
    line = f"{drive.elapsed_s:6.0f} s: {len(drive.ended)} ended, {attained} in time, {drive.in_flight} in flight"
    is_terminal = sys.stderr.isatty()
    print(f"\r\x1b[K{line}" if is_terminal else line, end="" if is_terminal else "\n", file=sys.stderr, flush=True)


def _described(run: "Bench", flags: dict[str, Any], is_interrupted: bool) -> dict[str, Any]:
    """What was measured, to repeat it: the flags as given, and what became of them."""
    given = {name: str(value) if isinstance(value, Path) else value for name, value in flags.items()}
    return {"flags": given, "solo_s": run.solo_s, "deadline_s": run.deadlines_s, "interrupted": is_interrupted}


def _show(result: "Result", is_interrupted: bool) -> None:
    from rich.console import Console

    from brickwork.load.table import table

    rows = dict(result.workflows)
    if len(rows) > 1:
        rows["all"] = result.total
    if sys.stderr.isatty():
        print(file=sys.stderr)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table("interrupted" if is_interrupted else f"{result.seconds:.0f} s", rows))
    for note in _notes(result):
        console.print(note, markup=False, highlight=False)


def _notes(result: "Result") -> list[str]:
    notes = [f"failed {count} times: {text}" for text, count in result.errors.items()]
    if result.retry_after_s_p50 is not None:
        notes.append(f"refusals asked to come back after {result.retry_after_s_p50:.1f} s (median)")
    if result.late_sends:
        notes.append(f"{result.late_sends} requests were sent late, by {result.max_sent_late_s:.2f} s at most; "
                     "where they are many, the load was another one than asked for")  # fmt: skip
    if result.undecided:
        notes.append(f"{result.undecided} requests in flight, with time left, are not counted")
    return notes
