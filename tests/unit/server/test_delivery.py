"""Goal: what is kept of a deadline for the delivery follows what deliveries take, and never eats the deadline.

Method: feed it measured times; no clock.
"""

import pytest

from brickwork.server.delivery import MAX_SHARE, Delivery


def after(*times_s: float) -> float:
    delivery = Delivery()
    for seconds in times_s:
        delivery.learn(seconds)
    return delivery.allowance_s(10.0)


def test_nothing_is_kept_before_anything_is_known() -> None:
    assert after() == 0.0


def test_steady_deliveries_cost_what_they_take() -> None:
    assert after(*[0.02] * 100) == pytest.approx(0.02, rel=0.01)


def test_unsteady_ones_cost_more_than_their_mean() -> None:
    assert after(*[0.01, 0.03] * 100) > 0.03


def test_a_slower_disk_is_followed_within_some_twenty() -> None:
    assert after(*[0.02] * 100, *[0.1] * 20) > 0.09


def test_a_deadline_is_never_eaten_up() -> None:
    delivery = Delivery()
    delivery.learn(5.0)
    assert delivery.allowance_s(1.0) == MAX_SHARE
