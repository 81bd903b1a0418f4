"""Goal: a Ranking is the sorted list of its (number, name) pairs, whatever the names.

Method: a plain sorted list next to it under Hypothesis. Names share their first eight bytes, differ in length, hold
NULs and letters beyond ASCII, and numbers are often equal, so that every comparison is needed to tell pairs apart.
Refusals, and references given back, by hand.
"""

import sys
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork._native import Ranking
from brickwork.core.ids import ExecutorId

NUMBERS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -inf, inf]), st.integers(-(2**50), 2**50), st.floats(allow_nan=False)
)
ALIKE = ["", "e1", "e10.1", "e2.1", "executor", "executor-1", "executor-12", "e1\0", "é", "\U0001f9f1", "\uffff"]
NAMES = st.one_of(st.sampled_from(ALIKE), st.text(st.characters(exclude_categories=["Cs"]), max_size=12)).map(
    ExecutorId
)
PAIRS = st.lists(st.tuples(NUMBERS, NAMES), unique=True, max_size=40)


@given(PAIRS, st.data())
def test_it_is_a_sorted_list(pairs: list[tuple[float, ExecutorId]], data: st.DataObject) -> None:
    ranking, model = Ranking(), sorted(pairs)
    for number, name in pairs:
        ranking.add(number, name)
    for number, name in data.draw(st.lists(st.sampled_from(pairs), unique=True) if pairs else st.just([])):
        ranking.remove(number, name)
        model.remove((number, name))
    count, step = data.draw(st.integers(0, 50)), data.draw(st.integers(1, 50))
    assert len(ranking) == len(model)
    assert ranking.every(1) == model
    assert ranking.every(step) == model[step // 2 :: step]
    assert ranking.first(count) == [name for _, name in model[:count]]
    assert ranking.last(count) == [name for _, name in model[::-1][:count]]
    assert [ranking.number(place) for place in range(len(model))] == [number for number, _ in model]


@given(PAIRS, NUMBERS, NAMES)
def test_what_is_not_there_is_not_taken_out(
    pairs: list[tuple[float, ExecutorId]], number: float, name: ExecutorId
) -> None:
    ranking = Ranking()
    for pair in pairs:
        if pair != (number, name):
            ranking.add(*pair)
    before = ranking.every(1)
    with pytest.raises(KeyError):
        ranking.remove(number, name)
    assert ranking.every(1) == before


def test_nonsense_is_refused() -> None:
    ranking = Ranking()
    with pytest.raises(ValueError, match="nan has no place"):
        ranking.add(nan, ExecutorId("e1"))
    with pytest.raises(UnicodeEncodeError):
        ranking.add(1.0, ExecutorId("\ud800"))
    with pytest.raises(ValueError, match="at least 1"):
        ranking.every(0)
    with pytest.raises(IndexError, match="not so many"):
        ranking.number(0)
    assert len(ranking) == 0


def test_names_live_as_long_as_they_are_ranked() -> None:
    name = ExecutorId("".join(["one", "-", "made", "-", "here"]))
    before = sys.getrefcount(name)
    ranking = Ranking()
    ranking.add(1.0, name)
    ranking.add(2.0, name)
    held = ranking.first(2)
    assert sys.getrefcount(name) == before + 4
    ranking.remove(1.0, name)
    del held
    assert sys.getrefcount(name) == before + 1
    del ranking
    assert sys.getrefcount(name) == before
