"""Goal: arrivals have the rate and the burstiness that were asked for, repeat, and come from traces as recorded.

Method: moments of long draws against theory; one seed at two rates; small trace files, good and bad.
"""

import gzip
from itertools import pairwise
from pathlib import Path
from statistics import mean, pstdev

import pytest

from brickwork.core.errors import InputError
from brickwork.load.arrivals import gamma_times_s, trace_times_s


@pytest.mark.parametrize("variation", [0.5, 1.0, 3.0])
def test_rate_and_variation_are_as_asked(variation: float) -> None:
    times_s = gamma_times_s(5.0, variation, seconds=8_000, seed=1)
    gaps_s = [after - before for before, after in pairwise(times_s)]
    assert len(times_s) / 8_000 == pytest.approx(5.0, rel=0.05)
    assert pstdev(gaps_s) / mean(gaps_s) == pytest.approx(variation, rel=0.05)


def test_poisson_counts_vary_like_their_mean() -> None:
    """Index of dispersion: the counts of a Poisson process in equal windows have a variance equal to their mean."""
    times_s = gamma_times_s(4.0, 1.0, seconds=10_000, seed=2)
    counts = [0] * 1_000
    for time_s in times_s:
        counts[int(time_s / 10)] += 1
    assert pstdev(counts) ** 2 / mean(counts) == pytest.approx(1.0, abs=0.15)


def test_arrivals_lie_within_the_window_in_order() -> None:
    times_s = gamma_times_s(20.0, 2.0, seconds=30, seed=3)
    assert times_s == sorted(times_s) and times_s[0] > 0 and times_s[-1] < 30


def test_seeds_repeat_and_differ() -> None:
    assert gamma_times_s(4.0, 3.0, 60, seed=1) == gamma_times_s(4.0, 3.0, 60, seed=1)
    assert gamma_times_s(4.0, 3.0, 60, seed=1) != gamma_times_s(4.0, 3.0, 60, seed=2)


def test_a_rate_only_stretches_time() -> None:
    slow, fast = gamma_times_s(2.0, 3.0, 60, seed=5), gamma_times_s(4.0, 3.0, 30, seed=5)
    assert fast == pytest.approx([time_s / 2 for time_s in slow])


TRACE = "id,t_s,tokens\na,100.5,3\nb,101.0,1\nc,100.75,9\nd,104.5,2\n"


@pytest.mark.parametrize("name", ["trace.csv", "trace.csv.gz"])
def test_a_trace_counts_from_its_first_arrival(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(TRACE.encode()) if name.endswith(".gz") else TRACE.encode())
    assert trace_times_s(path, scale=1.0) == [0.0, 0.25, 0.5, 4.0]
    assert trace_times_s(path, scale=2.0) == [0.0, 0.125, 0.25, 2.0]
    assert trace_times_s(path, scale=2.0, seconds=1.0) == [0.0, 0.125, 0.25]


BAD = {
    "no column": (b"time,tokens\n1,2\n", "t_s"),
    "not a number": (b"t_s\n1.0\nsoon\n", ":3"),
    "not finite": (b"t_s\nnan\n", ":2"),
    "a short row": (b"id,t_s\na\n", ":2"),
    "no rows": (b"t_s\n", "no arrivals"),
    "empty": (b"", "t_s"),
    "not text": (b"\xff\xfe\x00", "cannot be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_trace_is_told_with_its_place(case: str, tmp_path: Path) -> None:
    content, named = BAD[case]
    path = tmp_path / "trace.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=named) as caught:
        trace_times_s(path, scale=1.0)
    assert caught.value.field == "trace"


@pytest.mark.parametrize("content", [b"t_s\n1.0\n", gzip.compress(b"t_s\n1.0\n")[:-6]], ids=["plain text", "cut off"])
def test_a_bad_gzip_is_told(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        trace_times_s(path, scale=1.0)


def test_a_missing_trace_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        trace_times_s(tmp_path / "nowhere.csv", scale=1.0)
