"""Goal: a request goes where it waits least, and equal sets share alike.

Method: a few summaries and the one answer.
"""

from brickwork.core.ids import ModelId
from brickwork.router.policy import LOAD_S, START_S, SetSummary, choose_set

DIT = frozenset({ModelId("dit")})


def summary(
    name: str, work_s: float, executors: int = 2, sent_s: float = 0.0, models: frozenset[ModelId] = DIT
) -> SetSummary:
    return SetSummary(name, executors, work_s, sent_s, models)


def test_the_least_wait_counts_loads_too() -> None:
    assert choose_set([summary("a", 8.0), summary("b", 2.0)], DIT) == "b"
    cold = summary("b", 2.0, models=frozenset())
    assert choose_set([summary("a", 2.0 + 2 * LOAD_S - 0.1), cold], DIT) == "a"
    assert choose_set([summary("a", 2.0 + 2 * LOAD_S + 0.1), cold], DIT) == "b"


def test_a_set_without_executors_gets_what_would_wait_longer_elsewhere() -> None:
    assert choose_set([summary("a", 0.0, executors=0), summary("b", 2 * START_S - 1)], DIT) == "b"
    assert choose_set([summary("a", 0.0, executors=0), summary("b", 2 * START_S + 1)], DIT) == "a"
    assert choose_set([summary("a", 0.0, executors=0)], DIT) == "a"


def test_of_equals_the_one_that_got_least_of_late() -> None:
    assert choose_set([summary("a", 1.0, sent_s=5.0), summary("b", 1.0, sent_s=4.0)], DIT) == "b"
