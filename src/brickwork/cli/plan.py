"""`brickwork plan SCENARIO.yaml`: how many devices of which type hold the load, and what they cost."""

import json
import sys
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from brickwork.sim.baselines.verdict import Verdict
    from brickwork.sim.points import Point
    from brickwork.sim.scenario import Scenario

_EPILOG = """Examples:

\b
brickwork plan examples/burst.yaml
brickwork plan examples/burst.yaml --set fleet.0.price_per_hour=3 --most 64
brickwork plan examples/burst.yaml --policy brickwork --policy B0

Each type of device of the scenario's fleet is tried alone; where all have a price_per_hour, mixes of two types that
would be cheaper are tried too. Deadlines are those on the fleet's first type. A load is held when 90 % of all requests
and 80 % of every workflow's meet their deadline.
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
    from brickwork.sim.search import with_deadlines

    given = changed(scenario, changes, seeds)
    if given.sets or given.node_manager:
        raise ScenarioError("sets: devices are searched for one set; add --set sets=[] --set node_manager=null.")
    profile = profile_of(given, scenario.parent)
    given = with_deadlines(given, profile)
    streams = streams_of(given, folders(scenario, traces))

    def judged(trial: Scenario) -> Point:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{trial.policy}: {_words(_counts(trial))}", end="", file=sys.stderr, flush=True)
        return evaluate(trial, profile, streams)

    rows: list[dict[str, Any]] = []
    for policy in policies or (given.policy,):
        alone = [_alone(structs.replace(given, policy=policy, fleet=(devices,)), judged, most)
                 for devices in given.fleet]  # fmt: skip
        rows += [*alone, *_mixed(structs.replace(given, policy=policy), judged, most, alone)]
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    if as_json:
        print(json.dumps({"scenario": given.name, "simulated": True, "plans": rows}))
    else:
        _show(given.name, rows)


def _alone(given: "Scenario", judged: "Callable[[Scenario], Point]", most: int) -> dict[str, Any]:
    """The fewest devices of the fleet's only type."""
    from brickwork.sim.search import fewest_devices, with_devices

    count, tried = fewest_devices(given, judged, most)
    verdict = next((found for tried_count, found in tried if tried_count == count), tried[-1][1])
    return _row(with_devices(given, count or most), verdict, count is not None)


def _mixed(
    given: "Scenario", judged: "Callable[[Scenario], Point]", most: int, alone: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """A mix of two types that is cheaper than each alone, and than the mixes before it."""
    from msgspec import structs

    from brickwork.sim.run import OURS
    from brickwork.sim.search import cheapest_mix

    prices = [row["price_per_hour"] for row in alone if row["holds"]]
    is_priced = all(devices.price_per_hour > 0.0 for devices in given.fleet)
    if not prices or not is_priced or given.policy.partition(":")[0] != OURS:  # baselines place on one type
        return
    for pair in combinations(given.fleet, 2):
        dearer_first = tuple(sorted(pair, key=lambda devices: -devices.price_per_hour))
        found = cheapest_mix(structs.replace(given, fleet=dearer_first), judged, min(prices), most)
        if found is not None:
            row = _row(*found, True)
            prices.append(row["price_per_hour"])
            yield row


def _row(trial: "Scenario", verdict: "Verdict", holds: bool) -> dict[str, Any]:
    from brickwork.sim.search import price_per_hour

    return {
        "policy": trial.policy,
        "devices": _counts(trial),
        "holds": holds,
        "attainment": verdict.attainment,
        "worst_workflow": verdict.worst,
        "price_per_hour": price_per_hour(trial),
    }


def _counts(trial: "Scenario") -> dict[str, int]:
    return {devices.device: devices.count for devices in trial.fleet}


def _words(devices: dict[str, int]) -> str:
    return " + ".join(f"{count} {device}" for device, count in devices.items())


def _show(name: str, rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(f"{name} (simulated)")
    for column in ("devices", "attainment", "worst workflow", "price per hour"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        price = row["price_per_hour"] if row["holds"] else 0.0
        table.add_row(
            str(row["policy"]),
            f"{'' if row['holds'] else 'more than '}{_words(row['devices'])}",
            f"{row['attainment']:.1%}",
            f"{row['worst_workflow']:.1%}",
            f"{price:.2f}" if price else "-",
        )
    Console(width=None if sys.stdout.isatty() else 140).print(table)
