"""Goal: Demand answers as a sorted list would, whatever was entered and taken out.

Method: Hypothesis draws histories; a plain list is the other answer.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork.control.demand import Demand, Entry

steps = st.lists(st.tuples(st.booleans(), st.integers(0, 300), st.integers(0, 5), st.booleans()), max_size=400)


@given(steps=steps, asked=st.integers(0, 300))
def test_sums_are_those_of_a_sorted_list(steps: list[tuple[bool, int, int, bool]], asked: int) -> None:
    demand, plain = Demand(), dict[tuple[float, int, int], Entry]()
    for enters, at, seconds, is_hard in steps:
        rank = (float(at), at, 0)
        if enters and rank not in plain:
            plain[rank] = (rank, float(seconds), is_hard)
            demand.add(*plain[rank])
        elif not enters and rank in plain:
            del plain[rank]
            demand.remove(rank)
    entries = sorted(plain.values())
    rank = (float(asked), asked, 0)
    assert list(demand) == entries
    assert demand.total_s == sum(seconds for _, seconds, _ in entries)
    assert demand.before(rank) == sum(seconds for other, seconds, _ in entries if other < rank)
    hard = {other[0]: sum(s for o, s, _ in entries if o < other) for other, _, is_hard in entries if is_hard}
    later = list(demand.later(rank))
    assert later == sorted(later)
    assert all(start_s > asked and hard[start_s] == before_s for start_s, before_s in later)


def test_near_ones_are_told_one_by_one_and_far_ones_by_the_block() -> None:
    demand = Demand()
    for at in range(1000):
        demand.add((float(at), at, 0), 1.0, True)
    later = list(demand.later((100.5, 0, 0)))
    assert [start_s for start_s, _ in later[:20]] == [float(at) for at in range(101, 121)]
    assert len(later) < 100


def test_long_entries_are_met_more_often() -> None:
    demand = Demand()
    assert demand.typical_s == 0.0
    demand.add((0.0, 0, 0), 1.0, True)
    demand.add((1.0, 1, 0), 3.0, True)
    assert demand.typical_s == pytest.approx(2.5), "a quarter of the time in 1 s, three quarters in 3 s"
    demand.remove((1.0, 1, 0))
    assert demand.typical_s == pytest.approx(1.0)


def test_what_is_not_there_cannot_be_taken_out() -> None:
    demand = Demand()
    with pytest.raises(KeyError):
        demand.remove((1.0, 1, 0))
    demand.add((1.0, 1, 0), 1.0, True)
    with pytest.raises(KeyError):
        demand.remove((1.0, 2, 0))
