"""The data engine next to what else Python offers, in one run: messages, tensors on one host, the verbs of each fabric.

    python benchmarks/micro/data.py                     # about three minutes
    python benchmarks/micro/data.py --rounds 3 --only tensors

What is timed stands in messages.py, tensors.py and fabric.py, each run in a process of its own. Contenders that are not
installed are named (extra `bench`). Printed for each job and contender: the median and the span over the rounds; the
time as a multiple of a memcpy of the same bytes; ours as a multiple of it; and CPU at both ends (here / there), for a
message or for a GB. Then the goals. Standard output has the same as one JSON line.
"""

import argparse
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import fabric
import messages
import tensors
from rows import KIB, MIB, Part, Row

from report import emit

OURS = {messages.JOB: messages.OURS, "put": fabric.OURS, "get": fabric.OURS}
"""Who is compared with the others of a job; else tensors.OURS."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--trips", type=int, default=500, help="round trips of a contender in a round")
    parser.add_argument("--spin-us", type=float, default=0.0, help="how long our consumer looks before it sleeps")
    parser.add_argument("--only", choices=("messages", "tensors", "fabric", "nixl"))
    options = parser.parse_args()
    measures: dict[str, Callable[[], Part]] = {
        "messages": partial(messages.measure, options.rounds, options.trips, options.spin_us * 1e-6),
        "tensors": partial(tensors.measure, options.rounds),
        "fabric": partial(fabric.measure, options.rounds),
        "nixl": partial(fabric.measure_nixl, options.rounds),
    }
    rows: list[Row] = []
    missing: dict[str, str] = {}
    idle_cpu = None
    for name, measure in measures.items():
        if options.only not in (None, name):
            continue
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:  # its forks come before its threads
            part = alone.submit(measure).result()
        if part.rows:
            say(table(part.rows))
        rows += part.rows
        missing |= part.missing
        idle_cpu = idle_cpu if part.idle_cpu is None else part.idle_cpu
    for name, reason in missing.items():
        say(f"{name}: {reason}")
    if idle_cpu is not None:
        say(f"CPU of our waiting consumer: {idle_cpu:.5f} of a core")
    reached = {name: (round(ratio, 3), goal) for name, (ratio, goal) in goals(rows).items()}
    for name, (ratio, goal) in reached.items():
        say(f"{name:<44}{ratio:>7.2f}   goal: at most {goal}")
    figures = {"rows": [row.as_dict() for row in rows], "goals": reached, "idle_cpu": idle_cpu, "missing": missing}
    emit("data", 0, {**figures, "rounds": options.rounds, "trips": options.trips})


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def table(rows: list[Row]) -> str:
    head = ("us", "[min .. max]", "x memcpy", "ours / it", "CPU here / there")
    lines = [" " * 48 + "{:>10}  {:<24}{:>9}{:>10}   {}".format(*head)]
    for row in rows:
        memcpy = find(rows, tensors.HAND_OVER if row.job in tensors.JOBS else row.job, tensors.MEMCPY, row.nbytes)
        ours = find(rows, row.job, OURS.get(row.job, tensors.OURS), row.nbytes)
        span = f"[{min(row.times_s) * 1e6:.1f} .. {max(row.times_s) * 1e6:.1f}]"
        ratios = f"{ratio(row, memcpy):>9}{ratio(ours, row):>10}"
        name = f"{row.job:<15}{size_of(row.nbytes):>9}  {row.name:<22}"
        lines.append(f"{name}{row.us:>10.1f}  {span:<24}{ratios}   {cpu_of(row)}")
    return "\n".join(lines)


def find(rows: list[Row], job: str, name: str, nbytes: int) -> Row | None:
    return next((row for row in rows if (row.job, row.name, row.nbytes) == (job, name, nbytes)), None)


def size_of(nbytes: int) -> str:
    return f"{nbytes} B" if nbytes < KIB else f"{nbytes // KIB} KiB" if nbytes < MIB else f"{nbytes // MIB} MiB"


def ratio(one: Row | None, other: Row | None) -> str:
    return f"{one.ratio(other):.2f}" if one and other else ""


def cpu_of(row: Row) -> str:
    """For a message of a round trip (each end sends one and takes one), for a call of a small verb, or for a GB."""
    if not row.cpu_us():
        return ""
    here, there = row.cpu_us() or (0.0, 0.0)
    if row.job == messages.JOB:
        return f"{here / 2:.1f} / {there / 2:.1f} us a message"
    if row.nbytes < MIB:
        return f"{here:.1f} / {there:.1f} us a call"
    return f"{here * 1e9 / row.nbytes:,.0f} / {there * 1e9 / row.nbytes:,.0f} us a GB"


def goals(rows: list[Row]) -> dict[str, tuple[float, float]]:
    """What was reached and the most that it should be, for those that could be measured."""
    view, moved, verbs = tensors.OURS, tensors.HAND_OVER, ("put", "get")
    wanted: list[tuple[str, Row | None, Row | None, float]] = [
        ("256 B there and back / multiprocessing.Pipe", *pair(rows, messages.JOB, 256, "multiprocessing.Pipe"), 0.8),
        ("256 B there and back / pyzmq ipc", *pair(rows, messages.JOB, 256, "pyzmq ipc"), 0.5),
        ("view of 64 MiB / of 64 KiB", find(rows, "view", view, 64 * MIB), find(rows, "view", view, 64 * KIB), 1.2),
        ("16 MiB handed over / memcpy", *pair(rows, moved, 16 * MIB, tensors.MEMCPY), 1.3),
    ]
    for job in verbs:
        for nbytes in (MIB, 16 * MIB):
            wanted.append((f"tcp {job} of {nbytes // MIB} MiB / pyzmq tcp", *pair(rows, job, nbytes, "pyzmq tcp"), 1.0))
    return {name: (own.ratio(its), most) for name, own, its, most in wanted if own and its}


def pair(rows: list[Row], job: str, nbytes: int, other: str) -> tuple[Row | None, Row | None]:
    """Ours and another's row."""
    return find(rows, job, OURS.get(job, tensors.OURS), nbytes), find(rows, job, other, nbytes)


if __name__ == "__main__":
    main()
