"""Goal: the books behind a workflow's share say what happened of late, and stay small.

Method: known histories, and the ends of their limits.
"""

from math import e

import pytest

from brickwork.control.shares import ALONE_S, MAX_WORKFLOWS, OTHERS, Shares


def test_a_share_follows_what_happened() -> None:
    shares = Shares()
    assert shares.served("a") == 1.0, "nothing speaks against it"
    for number in range(400):
        shares.learn("a", number % 4 != 0)
        shares.learn("b", True)
    assert shares.served("a") == pytest.approx(0.75, abs=0.05) and shares.served("b") == 1.0


def test_dearness_is_over_the_mean_from_the_first_request_on() -> None:
    shares = Shares()
    assert shares.dearness(5.0) == 1.0
    shares.ask(0.0, "a", 4.0)
    assert shares.dearness(8.0) == pytest.approx(2.0)
    for _ in range(1000):
        shares.ask(0.0, "a", 1.0)
        shares.ask(0.0, "b", 3.0)
    assert shares.dearness(2.0) == pytest.approx(1.0, abs=0.02)


def test_requests_without_work_are_no_dearer_than_others() -> None:
    shares = Shares()
    shares.ask(0.0, "a", 0.0)
    assert shares.dearness(0.0) == shares.dearness(1.0) == 1.0
    assert shares.alone("a") == 0.0


def test_a_workflow_is_alone_until_others_ask_for_enough() -> None:
    shares = Shares()
    assert shares.alone("a") == 0.0, "nothing is known"
    shares.ask(0.0, "a", 9.0)
    assert shares.alone("a") == 1.0 and shares.alone("b") == 0.0
    shares.ask(0.0, "b", 1.0)
    assert shares.alone("b") == 0.0
    shares.ask(0.0, "a", 0.0)
    assert shares.alone("a") == pytest.approx(2 / 3), "others have a tenth, a third of OTHERS"


def test_who_asked_long_ago_is_no_company() -> None:
    shares = Shares()
    shares.ask(0.0, "a", 9.0)
    shares.ask(0.0, "b", 1.0)
    shares.ask(ALONE_S, "a", 9.0)
    assert shares.alone("a") == pytest.approx(1.0 - (1.0 / e / (9.0 + 10.0 / e)) / OTHERS)
    shares.ask(1000.0 * ALONE_S, "a", 9.0)
    assert shares.alone("a") == 1.0


def test_the_books_are_bounded() -> None:
    shares = Shares()
    for number in range(2 * MAX_WORKFLOWS):
        shares.learn(f"w-{number}", False)
        shares.ask(0.0, f"w-{number}", 1.0)
    assert shares.alone("w-0") == 0.0
    assert shares.served("w-0") == 1.0 and shares.served(f"w-{2 * MAX_WORKFLOWS - 1}") < 1.0
