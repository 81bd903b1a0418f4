"""What the parts of data.py measure: one job done by one contender, a figure for each round.

Contenders take turns within each round, so that whatever else the machine does meets all of them. Ratios of one run
are the result, and a ratio is the median of the rounds' ratios; absolute times are only a guide on a shared machine.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from time import clock_gettime, perf_counter, process_time
from typing import Any

KIB, MIB = 1 << 10, 1 << 20
PACKAGES = {"pyzmq": "zmq", "gRPC": "grpc", "Ray": "ray", "NIXL": "nixl_cu12"}
"""Contenders that have to be installed (extra `bench`), by the name of the module."""


def not_installed(*names: str) -> dict[str, str]:
    """Which of these contenders are not here."""
    return {name: "not installed (pip install 'brickwork[bench]')" for name in names if not find_spec(PACKAGES[name])}


@dataclass
class Row:
    """job      what is timed: "there and back", "view", "hand over", "put" ...
    name     of the contender
    nbytes   that are moved, or looked at
    times_s  one a round
    cpu_s    the CPU time of one job at either end (here, there), all threads, one a round; () where it is unknown"""

    job: str
    name: str
    nbytes: int
    times_s: list[float] = field(default_factory=list)
    cpu_s: list[tuple[float, float]] = field(default_factory=list)

    @property
    def us(self) -> float:
        return statistics.median(self.times_s) * 1e6

    def cpu_us(self) -> tuple[float, float] | None:
        """Here and there, for one job."""
        if not self.cpu_s:
            return None
        here, there = zip(*self.cpu_s, strict=True)
        return statistics.median(here) * 1e6, statistics.median(there) * 1e6

    def ratio(self, other: "Row") -> float:
        """This one's time as a multiple of the other's."""
        return statistics.median(own / its for own, its in zip(self.times_s, other.times_s, strict=True))

    def as_dict(self) -> dict[str, Any]:
        cpu = self.cpu_us()
        return {
            "job": self.job,
            "name": self.name,
            "bytes": self.nbytes,
            "us": round(self.us, 2),
            "us_min": round(min(self.times_s) * 1e6, 2),
            "us_max": round(max(self.times_s) * 1e6, 2),
            "cpu_us": [round(us, 2) for us in cpu] if cpu else None,
        }


@dataclass
class Part:
    """What a part of data.py gives. `missing` names the contenders that are not here, and why."""

    rows: list[Row]
    missing: dict[str, str] = field(default_factory=dict)
    idle_cpu: float | None = None  # share of a core that our waiting end takes


Turn = tuple[Row, Callable[[], object], int]
"""A row, what it times, and the pid of its other end; 0: there is none, or more than one."""


def time_rounds(turns: Sequence[Turn], calls: int, rounds: int) -> list[Row]:
    """Fill each row with `rounds` figures, each of `calls` calls, in turns, after a round that warms up. A call that is
    not timed goes before each turn, so that nobody finds the caches as the one before has left them."""
    for number in range(rounds + 1):
        for row, act, pid in turns:
            act()
            cpu_s, start_s = (process_time(), cpu_clock_s(pid)), perf_counter()
            for _ in range(calls):
                act()
            time_s = (perf_counter() - start_s) / calls
            spent_s = (process_time() - cpu_s[0]) / calls, (cpu_clock_s(pid) - cpu_s[1]) / calls
            if number:
                row.times_s.append(time_s)
                if pid:
                    row.cpu_s.append(spent_s)
    return [row for row, _, _ in turns]


def cpu_clock_s(pid: int) -> float:
    """What another process has used so far, by its CPU clock; 0 for none."""
    return clock_gettime(~pid << 3 | 2) if pid else 0.0
