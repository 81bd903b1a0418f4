"""The data engine between two processes of one host: small messages by round trip, tensors by hand-over.

    python benchmarks/micro/data.py                # about a minute; `--rounds 3` for a glance

Messages: 256 B there and back, from Python, against multiprocessing.Pipe, pyzmq (ipc, tcp) and gRPC (extra `bench`;
what is not installed is named). Every contender runs in every round, so that a disturbance meets all of them; printed
are medians over the rounds, the ratio of ours to each, the CPU time of a message at both ends together, and what our
consumer uses while nothing comes. Tensors: see tensors.py.
"""

import argparse
import sys
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import messages
import tensors

from report import emit, median

PAYLOAD = bytes(range(256))
WARM_UP = 200
IDLE_S = 1.0


def measure_messages(rounds: int, trips: int, spin_s: float) -> tuple[list[dict[str, Any]], dict[str, str], float]:
    """Rows {"name", "us", "us_min", "us_max", "ours_x", "cpu_us"}; what is missing; our consumer's idle CPU share."""
    with messages.running(spin_s) as (contenders, missing):
        times: dict[str, list[float]] = {one.name: [] for one in contenders}
        cpu: dict[str, list[float]] = {one.name: [] for one in contenders}
        for one in contenders:
            for _ in range(WARM_UP):
                assert one.echo(PAYLOAD) == PAYLOAD
        for _ in range(rounds):
            for one in contenders:
                us, cpu_us = _round_trips(one, trips)
                times[one.name].append(us)
                cpu[one.name].append(cpu_us)
        before_s = contenders[0].cpu_s()
        sleep(IDLE_S)
        idle = (contenders[0].cpu_s() - before_s) / IDLE_S
    ours = median(times[contenders[0].name])
    rows = [
        {
            "name": name,
            "us": round(median(values), 2),
            "us_min": round(min(values), 2),
            "us_max": round(max(values), 2),
            "ours_x": round(ours / median(values), 3),
            "cpu_us": round(median(cpu[name]), 2),
        }
        for name, values in times.items()
    ]
    return rows, missing, idle


def _round_trips(one: messages.Running, trips: int) -> tuple[float, float]:
    """Microseconds of a round trip, and of CPU for each of its two messages, both ends together."""
    start, cpu = perf_counter(), process_time() + one.cpu_s()
    for _ in range(trips):
        one.echo(PAYLOAD)
    us = (perf_counter() - start) / trips * 1e6
    return us, (process_time() + one.cpu_s() - cpu) / trips / 2 * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--trips", type=int, default=500, help="round trips of a contender in a round")
    parser.add_argument("--spin-us", type=float, default=0.0, help="how long our consumer looks before it sleeps")
    options = parser.parse_args()
    rows, missing, idle = measure_messages(options.rounds, options.trips, options.spin_us * 1e-6)
    for row in rows:
        print(
            f"{row['name']:<22}{row['us']:>9.1f} us  [{row['us_min']:.1f}..{row['us_max']:.1f}]"
            f"  ours / it {row['ours_x']:>6.2f}   CPU {row['cpu_us']:.1f} us a message",
            file=sys.stderr,
        )
    for name, reason in missing.items():
        print(f"{name}: skipped: {reason}", file=sys.stderr)
    print(f"CPU of our waiting consumer: {idle:.5f} of a core", file=sys.stderr)
    figures = {"messages": rows, "missing": missing, "idle_cpu": round(idle, 6), "rounds": options.rounds}
    emit("data", 0, {**figures, "trips": options.trips, "tensors": tensors.measure(options.rounds)})


if __name__ == "__main__":
    main()
