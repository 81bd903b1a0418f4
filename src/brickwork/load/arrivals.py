"""When requests arrive: independent gaps drawn from a distribution, or the times of a trace.

A rate only stretches time: all rates of one seed share their random numbers, so that two rates can be compared.
"""

import csv
import gzip
import io
import math
import zlib
from collections.abc import Iterator
from itertools import accumulate, takewhile
from pathlib import Path
from random import Random

from brickwork.core.errors import InputError

COLUMN = "t_s"
"""Of a trace: seconds from any start."""


def gamma_gaps_s(rate_per_s: float, variation: float, random: Random) -> Iterator[float]:
    """Gaps between arrivals, without end.

    rate_per_s    arrivals per second on average, > 0
    variation     coefficient of variation of the gaps (deviation / mean), > 0: 1 is Poisson, more is bursty
    """
    shape = 1.0 / variation**2
    while True:
        yield random.gammavariate(shape, 1.0 / (shape * rate_per_s))


def gamma_times_s(rate_per_s: float, variation: float, seconds: float, seed: int) -> list[float]:
    """Arrival times within `seconds`, in order."""
    gaps_s = gamma_gaps_s(rate_per_s, variation, Random(f"arrivals {seed}"))
    return list(takewhile(lambda time_s: time_s < seconds, accumulate(gaps_s)))


def trace_times_s(path: Path, scale: float, seconds: float | None = None) -> list[float]:
    """Arrival times of a trace, counted from its first, in order.

    path      CSV with a header line and a column `t_s`; read through gzip when its name ends in .gz
    scale     > 0; 2 plays it twice as fast
    seconds   how much of it to take, after scaling; None: all
    raises    InputError about `trace`
    """
    times_s = sorted(_column(path))
    if not times_s:
        raise InputError("trace", f"{path} has no arrivals")
    scaled = [(time_s - times_s[0]) / scale for time_s in times_s]
    return scaled if seconds is None else [time_s for time_s in scaled if time_s < seconds]


def _column(path: Path) -> Iterator[float]:
    rows = csv.DictReader(io.StringIO(_text(path)))
    names = rows.fieldnames or []
    if COLUMN not in names:
        raise InputError("trace", f"{path} has no column {COLUMN!r} in its first line, but: {', '.join(names)[:200]}")
    for row in rows:
        try:
            time_s = float(row[COLUMN])
        except (TypeError, ValueError):
            time_s = math.nan
        if not math.isfinite(time_s):
            raise InputError("trace", f"{path}:{rows.line_num}: {COLUMN} must be seconds, got {row[COLUMN]!r}")
        yield time_s


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or error
        raise InputError("trace", f"{path} cannot be read: {cause}") from None
