"""Runs an experiment file: every sweep, every combination of what it varies, every policy; one JSON line a point.

    python benchmarks/paper/e1.py                     # five seeds, all sweeps
    python benchmarks/paper/e1.py --smoke             # one seed, few requests, the first rows only
    python benchmarks/paper/e1.py --only s-d --policies brickwork,B2

A line holds what was searched for (the largest rate that holds, say), the verdict there, commit, seeds and seconds.
Recorded traces are read from `--traces` (default: ../shared/traces beside the checkout); sweeps whose trace is absent
are left out, and a line says so.
"""

import argparse
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import structs

from brickwork.core.errors import BrickworkError
from brickwork.sim.points import Point, capacity_per_s, evaluate, fewest_devices, largest, streams_of
from brickwork.sim.run import OURS, profile_of
from brickwork.sim.scenario import Experiment, Scenario, Sweep, read_experiment, read_scenario, varied

HERE = Path(__file__).parent
SCENARIOS = HERE / "scenarios"
RESULTS = HERE / "results"

SMOKE_REQUESTS = 60

NO_ADMISSION = ("fifo-pool", "edf-pool", "fluid", "ideal", "ideal2", "B5", "B5r", "B5p")
"""Policies that run once: bounds, and those whose admission is part of the definition."""


def main(name: str) -> None:
    """Run experiment `name` as the command line says."""
    flags = _flags()
    experiment = read_experiment(SCENARIOS / f"{name}.yaml")
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{name}.jsonl").open("w" if flags.fresh else "a") if not flags.smoke else sys.stdout as out:
        for line in lines(experiment, flags):
            print(json.dumps(line), file=out, flush=True)
            if out is not sys.stdout:
                print(_told(line), file=sys.stderr, flush=True)


def lines(experiment: Experiment, flags: argparse.Namespace) -> Iterator[dict[str, Any]]:
    policies = flags.policies.split(",") if flags.policies else experiment.policies
    seeds = experiment.seeds[: 1 if flags.smoke else flags.seeds]
    for sweep in experiment.sweeps:
        if flags.only and not any(sweep.scenario.startswith(each) for each in flags.only.split(",")):
            continue
        for row in _chosen(list(_rows(sweep)), flags):
            base = varied(read_scenario(SCENARIOS / sweep.scenario), row)
            base = structs.replace(base, seeds=tuple(seeds))
            if flags.smoke or flags.requests:
                base = structs.replace(base, requests=SMOKE_REQUESTS if flags.smoke else flags.requests)
            for policy, admission in _runs(
                policies, experiment.admission if not flags.admission else [flags.admission]
            ):
                yield {"experiment": experiment.name, "commit": commit(), "simulated": True, "seeds": list(seeds),
                       "requests": base.requests,
                       "scenario": sweep.scenario, "row": row, "policy": policy, "admission": admission,
                       "judge": sweep.judge} | _outcome(sweep, base, policy, admission, flags)  # fmt: skip


def _chosen(rows: list[dict[str, Any]], flags: argparse.Namespace) -> list[dict[str, Any]]:
    if flags.smoke:
        return rows[:1]
    return [rows[int(k)] for k in flags.rows.split(",") if int(k) < len(rows)] if flags.rows else rows


def _runs(policies: Any, admissions: Any) -> Iterator[tuple[str, str]]:
    for policy in policies:
        is_single = policy in NO_ADMISSION or policy.startswith(OURS)
        for admission in ("common",) if is_single else admissions:
            yield policy, admission


def _rows(sweep: Sweep) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*sweep.over.values()):
        yield dict(zip(sweep.over, values, strict=True))


def _outcome(sweep: Sweep, base: Scenario, policy: str, admission: str, flags: argparse.Namespace) -> dict[str, Any]:
    started_s = time.monotonic()
    try:
        found = _found(sweep, structs.replace(base, policy=policy), admission == "common", flags)
    except BrickworkError as error:
        return {"skipped": str(error)}
    return found | {"took_s": round(time.monotonic() - started_s, 1)}


def _found(sweep: Sweep, base: Scenario, admits: bool, flags: argparse.Namespace) -> dict[str, Any]:
    profile, folders = profile_of(base), (Path(flags.traces),)
    points: dict[float, Point] = {}

    def judge(given: Scenario) -> Point:
        return evaluate(given, profile, streams_of(given, folders), admits, sweep.judge == "spikes")

    def at(field: str, value: float) -> Point:
        if value not in points:
            points[value] = judge(varied(base, {field: value}))
        return points[value]

    if sweep.find == "devices":
        count, tried = fewest_devices(base, judge, 64)
        return {"devices": count, "tried": {n: round(v.attainment, 4) for n, v in tried}}
    field = {"rate": "arrivals.rate_per_s", "height": "arrivals.height", "cv": "arrivals.cv"}.get(sweep.find, "")
    if sweep.find == "points":
        return _points(sweep, base, judge)
    if sweep.values:
        best = max((v for v in sweep.values if at(field, v).verdict.holds), default=0.0)
    elif sweep.find == "rate":
        capacity = capacity_per_s(base, profile, streams_of(base, folders))
        low, high = (0.9, 1.0) if flags.smoke else (0.02, 1.3)
        best = largest(lambda rate: at(field, rate).verdict.holds, low * capacity, high * capacity, flags.resolution)
        return _described(sweep, best, points, flags) | {"capacity_per_s": round(capacity, 3)}
    else:
        best = largest(lambda height: at(field, height).verdict.holds, 1, 4 if flags.smoke else 512, flags.resolution)
    return _described(sweep, best, points, flags)


def _described(sweep: Sweep, best: float, points: dict[float, Point], flags: argparse.Namespace) -> dict[str, Any]:
    at = points.get(best) or points[min(points)]
    return {sweep.find: round(best, 3)} | _verdict(at)


def _verdict(point: Point) -> dict[str, Any]:
    found = point.verdict
    return {
        "attainment": round(found.attainment, 4),
        "by_seed": [round(each, 4) for each in found.by_seed],
        "worst": round(found.worst, 4),
        "weighted": round(found.weighted, 4),
        "detail": point.detail,
    }


def _points(sweep: Sweep, base: Scenario, judge: Any) -> dict[str, Any]:
    """The values of a sweep as requests per second; none: the file as it is."""
    if not sweep.values:
        return _verdict(judge(base))
    found = {}
    for value in sweep.values:
        found[str(value)] = _verdict(judge(varied(base, {"arrivals.rate_per_s": value})))
    return {"points": found}


def _told(line: dict[str, Any]) -> str:
    keys = ("rate", "height", "cv", "devices", "attainment", "skipped")
    shown = ", ".join(f"{key} {line[key]}" for key in keys if key in line)
    return f"{line['scenario']} {line['row']} {line['policy']} {line['admission']}: {shown} ({line.get('took_s', 0)} s)"


def commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE)
    return found.stdout.strip() or "unknown"


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="a minute at most; lines go to the standard output")
    parser.add_argument("--only", help="scenario files whose name begins so, by comma")
    parser.add_argument("--rows", help="of each sweep only these combinations, by comma, from 0")
    parser.add_argument("--admission", choices=["own", "common"], help="instead of the experiment's")
    parser.add_argument("--policies", help="instead of the experiment's, by comma")
    parser.add_argument("--seeds", type=int, default=5, help="how many of the experiment's seeds")
    parser.add_argument("--requests", type=int, help="instead of the scenario's")
    parser.add_argument("--resolution", type=float, default=1.03, help="searches end at this ratio")
    parser.add_argument("--traces", default=str(HERE.parents[2] / "shared" / "traces"))
    parser.add_argument("--fresh", action="store_true", help="begin the results file anew")
    return parser.parse_args()
