"""When requests arrive: independent gaps drawn from a distribution, or the times of a trace.

A rate only stretches time: all rates of one seed share their random numbers, so that two rates can be compared.
"""

import csv
import gzip
import io
import math
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise, takewhile
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


JITTER = 0.1
"""By how much a resampled gap may differ from the recorded one, relative."""


def varying_times_s(breaks_s: Sequence[float], rates: Sequence[float], random: Random) -> Iterator[float]:
    """Arrivals of a Poisson process whose rate is constant between breaks.

    breaks_s   rising, from 0 on; `rates[k]` per second holds from breaks_s[k] on, and the last one without end
    random     equal draws give arrivals that move smoothly as rates change, so that two heights can be compared
    """
    reached = [0.0]  # expected arrivals up to each break
    for k in range(1, len(breaks_s)):
        reached.append(reached[-1] + rates[k - 1] * (breaks_s[k] - breaks_s[k - 1]))
    for expected in accumulate(random.expovariate(1.0) for _ in iter(int, 1)):
        k = bisect_right(reached, expected) - 1
        if rates[k] <= 0.0:
            return
        yield breaks_s[k] + (expected - reached[k]) / rates[k]


def spikes(every_s: float, length_s: float, until_s: float) -> list[tuple[float, float]]:
    """Windows (start, end) of square spikes: one in the middle of each period that begins before `until_s`."""
    starts_s = [(k + 0.5) * every_s for k in range(math.ceil(until_s / every_s))]
    return [(start_s, start_s + length_s) for start_s in starts_s]


def zipf_shares(count: int, exponent: float) -> list[float]:
    """Share of the k-th most popular of `count`: 1 / k ** exponent, in sum 1."""
    weights = [1.0 / k**exponent for k in range(1, count + 1)]
    return [weight / sum(weights) for weight in weights]


def resampled(rows: Sequence[tuple[float, str]], random: Random) -> Iterator[tuple[float, str]]:
    """Arrivals (time, label) without end, like those of a trace: gaps and labels drawn from the recorded ones, each gap
    jittered. The mix and the distribution of gaps stay; the history is another one for every seed."""
    gaps_s = [after[0] - before[0] for before, after in pairwise(rows)]
    labels = [label for _, label in rows]
    time_s = 0.0
    while True:
        time_s += random.choice(gaps_s) * random.uniform(1 - JITTER, 1 + JITTER)
        yield time_s, random.choice(labels)


def trace_rows(path: Path, label: str | None, where: Mapping[str, str]) -> list[tuple[float, str]]:
    """Arrivals (seconds, text of the column `label`) of the rows of a trace that match `where`, in order of time.

    raises    InputError about `trace`
    """
    found = []
    for time_s, row in _rows(path, (*where, label) if label else tuple(where)):
        if all(row[column] == text for column, text in where.items()):
            found.append((time_s, row[label] if label else ""))
    if len(found) < 2:
        raise InputError("trace", f"{path} has fewer than two arrivals that match {dict(where)}")
    return sorted(found)


def trace_times_s(path: Path, scale: float, seconds: float | None = None) -> list[float]:
    """Arrival times of a trace, counted from its first, in order.

    path      CSV with a header line and a column `t_s`; read through gzip when its name ends in .gz
    scale     > 0; 2 plays it twice as fast
    seconds   how much of it to take, after scaling; None: all
    raises    InputError about `trace`
    """
    times_s = sorted(time_s for time_s, _ in _rows(path, ()))
    if not times_s:
        raise InputError("trace", f"{path} has no arrivals")
    scaled = [(time_s - times_s[0]) / scale for time_s in times_s]
    return scaled if seconds is None else [time_s for time_s in scaled if time_s < seconds]


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[float, dict[str, str]]]:
    rows = csv.DictReader(io.StringIO(_text(path)))
    names = rows.fieldnames or []
    for column in (COLUMN, *columns):
        if column not in names:
            raise InputError(
                "trace", f"{path} has no column {column!r} in its first line, but: {', '.join(names)[:200]}"
            )
    for row in rows:
        try:
            time_s = float(row[COLUMN])
        except (TypeError, ValueError):
            time_s = math.nan
        if not math.isfinite(time_s):
            raise InputError("trace", f"{path}:{rows.line_num}: {COLUMN} must be seconds, got {row[COLUMN]!r}")
        yield time_s, row


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or error
        raise InputError("trace", f"{path} cannot be read: {cause}") from None
