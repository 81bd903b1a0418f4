"""Runs experiments: every sweep, every combination of what it varies, every policy; one JSON line each.

    python benchmarks/paper/e1.py                     # all sweeps, on all cores; all.py runs all experiments
    python benchmarks/paper/e1.py --resume            # only lines that are not there yet for this code
    python benchmarks/paper/e1.py --smoke             # one seed, few requests, the first rows only
    python benchmarks/paper/e1.py --only s-d --rows 0 --policies brickwork --seeds 2 --dry   # quickly, to the screen

A line holds what was searched for (the largest rate that holds, say), the verdict there, commit, seeds and seconds.
Lines are written as they are done: what is finished stays when the rest is interrupted. Recorded traces are read from
`--traces` (default: ../shared/traces beside the checkout); sweeps whose trace is absent are left out, as a line says.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from code_version import code_of, commit
from measure import measure
from tasks import Choice, Task, tasks_of, text_of

HERE = Path(__file__).parent
RESULTS = HERE / "results"
KEY = ("experiment", "scenario", "row", "find", "judge", "policy", "admission", "seeds", "requests", "resolution")


def main(*names: str) -> None:
    """Run experiments as the command line says."""
    flags = _flags()
    tasks = [task for name in names for task in tasks_of(name, choice_of(flags))]
    if flags.only:  # sweeps in the order that was asked for
        starts = flags.only.split(",")
        tasks.sort(key=lambda task: next(k for k, start in enumerate(starts) if task.sweep.scenario.startswith(start)))
    if flags.resume:
        done = _done(names)
        tasks = [task for task in tasks if (text_of(task.key), code_of(task.policy, task.sweep.scenario)) not in done]
    if flags.fresh:
        for name in names:
            _file(name).unlink(missing_ok=True)
    _run(tasks, flags)


def line_of(task: Task, traces: Path) -> dict[str, Any]:
    """The task done: one line of results."""
    head = {"commit": commit(), "code": code_of(task.policy, task.sweep.scenario), "simulated": True}
    return task.key | head | measure(task, traces)


def _run(tasks: list[Task], flags: argparse.Namespace) -> None:
    expected_s = sum(task.estimate_s for task in tasks) / flags.jobs
    print(f"{len(tasks)} lines on {flags.jobs} cores, about {expected_s / 60:.0f} minutes", file=sys.stderr, flush=True)
    RESULTS.mkdir(exist_ok=True)
    started_s = time.monotonic()
    for count, line in enumerate(_lines(tasks, Path(flags.traces), flags.jobs), start=1):
        text = json.dumps(line)
        if flags.dry or flags.smoke:
            print(text, flush=True)
        else:
            with _file(line["experiment"].lower()).open("a", encoding="utf-8") as out:
                out.write(text + "\n")
        passed_s = time.monotonic() - started_s
        print(f"{passed_s:6.0f} s  {count}/{len(tasks)}  {_told(line)}", file=sys.stderr, flush=True)


def _lines(tasks: Iterable[Task], traces: Path, jobs: int) -> Iterator[dict[str, Any]]:
    """Lines in order of completion. Leaving early, by an interrupt too, ends the processes."""
    with get_context("fork").Pool(jobs, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        yield from pool.imap_unordered(partial(line_of, traces=traces), tasks)


def _done(names: Iterable[str]) -> set[tuple[str, str]]:
    """(key, version of the code) of lines that are there."""
    found = set()
    for name in names:
        if _file(name).exists():
            for text in _file(name).read_text(encoding="utf-8").splitlines():
                line = json.loads(text)
                found.add((text_of({field: line.get(field) for field in KEY}), line.get("code", "")))
    return found


def _file(name: str) -> Path:
    return RESULTS / f"{name}.jsonl"


def _told(line: dict[str, Any]) -> str:
    keys = ("rate", "height", "cv", "devices", "attainment", "worst", "skipped")
    shown = ", ".join(f"{key} {line[key]}" for key in keys if key in line)
    return f"{line['scenario']} {line['row']} {line['policy']} {line['admission']}: {shown} ({line.get('cpu_s', 0)} s)"


def choice_of(flags: argparse.Namespace) -> Choice:
    def parts(text: str | None) -> tuple[str, ...]:
        return tuple(text.split(",")) if text else ()

    return Choice(
        only=parts(flags.only), rows=tuple(map(int, parts(flags.rows))), policies=parts(flags.policies),
        without=parts(flags.without), admission=flags.admission, seeds=flags.seeds, requests=flags.requests,
        resolution=flags.resolution, smoke=flags.smoke,
    )  # fmt: skip


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="a minute at most; lines go to the standard output")
    parser.add_argument("--dry", action="store_true", help="lines go to the standard output, not to the results")
    parser.add_argument("--only", help="scenario files whose name begins so, by comma, in this order")
    parser.add_argument("--rows", help="of each sweep only these combinations, by comma, from 0")
    parser.add_argument("--admission", choices=["own", "common"], help="instead of the experiment's")
    parser.add_argument("--policies", help="instead of the experiment's, by comma")
    parser.add_argument("--without", help="leave out policies whose name begins so, by comma")
    parser.add_argument("--seeds", type=int, help="only the first so many")
    parser.add_argument("--requests", type=int, help="instead of the scenario's")
    parser.add_argument("--resolution", type=float, help="searches end at this ratio, instead of the experiment's")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--traces", default=str(HERE.parents[2] / "shared" / "traces"))
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--resume", action="store_true", help="skip lines that are there for the same code")
    kept.add_argument("--fresh", action="store_true", help="begin the results file anew")
    return parser.parse_args()
