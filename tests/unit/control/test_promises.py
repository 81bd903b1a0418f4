"""Goal: promises are found, kept, withdrawn and forgotten, and what is held follows how many are kept.

Method: a few promises, times by hand.
"""

import pytest

from brickwork.control.promises import GRACE_S, MAX_PROMISES, Promises, is_due


def test_equal_requests_claim_the_earliest_first() -> None:
    promises = Promises()
    promises.give("a", 20.0, 1.0, 5.0)
    promises.give("a", 10.0, 1.0, 3.0)
    first = promises.find("a")
    assert first is not None and first.due_s == 10.0
    assert not is_due(first, 9.0) and is_due(first, 10.0)
    promises.keep(first)
    second = promises.find("a")
    assert second is not None and second.due_s == 20.0
    promises.withdraw(second)
    assert promises.find("a") is None
    assert promises.demand.total_s == 0.0 and promises.held_requests == 0.0


def test_without_a_key_nothing_is_held() -> None:
    promises = Promises()
    promises.give("", 10.0, 1.0, 5.0)
    assert list(promises) == [] and promises.demand.total_s == 0.0


def test_a_promise_is_held_through_its_grace_and_then_forgotten() -> None:
    promises = Promises()
    promises.give("a", 10.0, 1.0, 5.0)
    promises.expire(10.0 + GRACE_S)
    assert promises.find("a") is not None
    promises.expire(10.1 + GRACE_S)
    assert promises.find("a") is None
    assert promises.kept < 1.0


def test_what_is_held_follows_the_share_that_is_kept() -> None:
    promises = Promises()
    for number in range(200):
        promises.give("a", float(number), 1.0, 5.0)
        if number % 4:
            promise = promises.find("a")
            assert promise is not None
            promises.keep(promise)
        else:
            promises.expire(number + 2 * GRACE_S)
    assert promises.kept == pytest.approx(0.75, abs=0.15)


def test_promises_are_bounded() -> None:
    promises = Promises()
    for number in range(MAX_PROMISES + 10):
        promises.give(f"k-{number}", float(number), 1.0, 1.0)
    assert len(list(promises)) == MAX_PROMISES
    assert promises.find(f"k-{MAX_PROMISES}") is None
