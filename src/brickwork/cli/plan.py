"""`brickwork plan SCENARIO.yaml`: how many devices of which type hold the load, and what they cost."""

import json
import sys
from pathlib import Path
from typing import Any

import click

_EPILOG = """Examples:

\b
brickwork plan examples/burst.yaml
brickwork plan examples/burst.yaml --set arrivals.rate_per_s=4 --most 64
brickwork plan examples/burst.yaml --policy brickwork --policy B0

Each type of device of the scenario's fleet is tried alone; price_per_hour in the fleet gives the cost. A load is held
when 90 % of all requests and 80 % of every workflow's meet their deadline.
"""


@click.command(epilog=_EPILOG)
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option(
    "--policy", "policies", multiple=True, metavar="NAME", help="Instead of the scenario's; repeat to compare."
)
@click.option("--set", "changes", multiple=True, metavar="FIELD=VALUE", help="Change a field of the scenario.")
@click.option("--seed", "seeds", type=int, multiple=True, help="Instead of the scenario's; repeat for several.")
@click.option("--traces", type=click.Path(path_type=Path), metavar="DIR", help="Where recorded arrivals are found.")
@click.option("--most", type=click.IntRange(1, 10_000), default=128, show_default=True, help="Devices to try at most.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def plan(
    scenario: Path, policies: tuple[str, ...], changes: tuple[str, ...], seeds: tuple[int, ...], traces: Path | None,
    most: int, as_json: bool,
) -> None:  # fmt: skip
    """Search the smallest fleet that holds a scenario's load."""
    from msgspec import structs

    from brickwork.cli.simulate import changed, folders
    from brickwork.sim.points import Point, evaluate, streams_of
    from brickwork.sim.run import profile_of
    from brickwork.sim.scenario import Scenario, ScenarioError
    from brickwork.sim.search import fewest_devices

    given = changed(scenario, changes, seeds)
    if given.sets or given.node_manager:
        raise ScenarioError("sets: devices are searched for one set; add --set sets=[] --set node_manager=null.")
    profile = profile_of(given, scenario.parent)
    streams = streams_of(given, folders(scenario, traces))
    rows: list[dict[str, Any]] = []
    for policy in policies or (given.policy,):
        for devices in given.fleet:
            alone = structs.replace(given, policy=policy, fleet=(devices,))

            def judged(trial: Scenario) -> Point:
                if sys.stderr.isatty():
                    print(f"\r\x1b[K{trial.policy}: {trial.fleet[0].count} x {trial.fleet[0].device}", end="",
                          file=sys.stderr, flush=True)  # fmt: skip
                return evaluate(trial, profile, streams)

            count, tried = fewest_devices(alone, judged, most)
            verdict = next((found for tried_count, found in tried if tried_count == count), tried[-1][1])
            rows.append({
                "policy": policy,
                "device": devices.device,
                "devices": count,
                "attainment": verdict.attainment,
                "worst_workflow": verdict.worst,
                "price_per_hour": None if count is None else count * devices.price_per_hour,
                "tried": {str(tried_count): found.attainment for tried_count, found in tried},
            })  # fmt: skip
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    if as_json:
        print(json.dumps({"scenario": given.name, "simulated": True, "plans": rows}))
    else:
        _show(given.name, rows, most)


def _show(name: str, rows: list[dict[str, Any]], most: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(f"{name} (simulated)")
    for column in ("device", "devices", "attainment", "worst workflow", "price per hour"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        price = row["price_per_hour"]
        table.add_row(
            str(row["policy"]),
            str(row["device"]),
            f"more than {most}" if row["devices"] is None else str(row["devices"]),
            f"{row['attainment']:.1%}",
            f"{row['worst_workflow']:.1%}",
            f"{price:.2f}" if price else "-",
        )
    Console(width=None if sys.stdout.isatty() else 140).print(table)
