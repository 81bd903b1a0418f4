"""`brickwork simulate SCENARIO.yaml`: what would happen, under the very policies that serve."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from brickwork.sim.points import Point
    from brickwork.sim.scenario import Scenario

_EPILOG = """Examples:

\b
brickwork simulate examples/burst.yaml
brickwork simulate examples/burst.yaml --policy brickwork --policy B2 --policy edf-pool
brickwork simulate examples/burst.yaml --set arrivals.rate_per_s=2 --set fleet.0.count=8
brickwork simulate examples/burst.yaml --trace timeline.json --plot latency.svg
brickwork simulate examples/burst.yaml --json > result.json

Policies: brickwork, brickwork:ABLATION (no-batching, no-preemption, fifo ...), B0 to B5, fifo-pool, edf-pool, ideal.
A load is held when 90 % of all requests and 80 % of every workflow's meet their deadline.
"""


@click.command(epilog=_EPILOG)
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option(
    "--policy", "policies", multiple=True, metavar="NAME", help="Instead of the scenario's; repeat to compare."
)
@click.option("--set", "changes", multiple=True, metavar="FIELD=VALUE", help="Change a field of the scenario.")
@click.option("--seed", "seeds", type=int, multiple=True, help="Instead of the scenario's; repeat for several.")
@click.option("--traces", type=click.Path(path_type=Path), metavar="DIR", help="Where recorded arrivals are found.")
@click.option("--own-admission", is_flag=True, help="Baselines drop what is late instead of refusing what would be.")
@click.option("--trace", type=click.Path(path_type=Path), metavar="FILE", help="Write the timeline of the first seed.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw latency and attainment as SVG.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def simulate(
    scenario: Path, policies: tuple[str, ...], changes: tuple[str, ...], seeds: tuple[int, ...], traces: Path | None,
    own_admission: bool, trace: Path | None, plot: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Simulate a scenario: virtual devices, published or measured times, the policies that serve live."""
    from msgspec import structs

    from brickwork.observe.spans import Timeline
    from brickwork.sim.points import evaluate, streams_of
    from brickwork.sim.run import OURS, Watch, profile_of

    given = changed(scenario, changes, seeds)
    profile = profile_of(given, scenario.parent)
    streams = streams_of(given, folders(scenario, traces))
    timeline = Timeline() if trace else None
    points = []
    for policy in policies or (given.policy,):
        spans = (lambda span: timeline.extend([span])) if timeline and policy.startswith(OURS) else None
        watch = Watch(progress=_progress(policy, len(streams[0])), spans=spans)
        points.append(evaluate(structs.replace(given, policy=policy), profile, streams, not own_admission, watch=watch))
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr)
    if timeline and trace:
        _written(trace, lambda: timeline.write_chrome_trace(trace))
    if plot:
        from brickwork.sim.plots import latency_plot

        _written(plot, lambda: plot.write_text(latency_plot(given.name, points), encoding="utf-8"))
    if as_json:
        print(json.dumps({"scenario": given.name, "simulated": True, "points": [_described(each) for each in points]}))
    else:
        _show(given, points)


def changed(path: Path, changes: tuple[str, ...], seeds: tuple[int, ...]) -> "Scenario":
    """The scenario in a file with the changes of the command line. raises ScenarioError, UsageError"""
    import yaml

    from brickwork.sim.scenario import read_scenario, varied

    given = read_scenario(path)
    values: dict[str, Any] = {"seeds": list(seeds)} if seeds else {}
    for change in changes:
        field, equals, text = change.partition("=")
        try:
            values[field] = yaml.safe_load(text)
        except yaml.YAMLError:
            equals = ""
        if not equals:
            raise click.UsageError(f"--set {change[:60]}: expected FIELD=VALUE, such as arrivals.rate_per_s=2")
    return varied(given, values)


def folders(scenario: Path, traces: Path | None) -> tuple[Path, ...]:
    """Where recorded arrivals are looked for."""
    return (traces, scenario.parent) if traces else (scenario.parent,)


def _progress(policy: str, count: int) -> Any:
    def tell(arrived: int) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{policy}: {arrived} of {count} requests", end="", file=sys.stderr, flush=True)

    return tell


def _written(path: Path, write: Any) -> None:
    try:
        write()
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}") from None


def _described(point: "Point") -> dict[str, Any]:
    return {"policy": point.policy, "holds": point.verdict.holds, **asdict(point.verdict), **point.detail}


def _show(given: "Scenario", points: list["Point"]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(f"{given.name} (simulated)")
    for column in ("attainment", "worst workflow", "weighted by work", "p50 s", "p99 s", "refused", "holds"):
        table.add_column(column, justify="right", no_wrap=True)
    for point in points:
        found = point.verdict
        latencies = [_latency(point, share) for share in (0.5, 0.99)]
        refused = sum(report.outcomes["rejected"] for report in point.reports) if point.reports else "-"
        table.add_row(
            point.policy,
            f"{found.attainment:.1%}",
            f"{found.worst:.1%}",
            f"{found.weighted:.1%}",
            *latencies,
            str(refused),
            "yes" if found.holds else "no",
        )
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    for point in points:
        for name, value in point.detail.items():
            shown = f"{value:.3f}" if isinstance(value, float) else value
            console.print(f"{point.policy}: {name} {shown}", markup=False, highlight=False)


def _latency(point: "Point", share: float) -> str:
    from brickwork.load.report import latency_s

    samples = [sample for report in point.reports for sample in report.samples]
    found = latency_s(samples, share)
    return "-" if found is None else f"{found:.3f}"
