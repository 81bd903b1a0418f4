"""Goal: what is kept of a deadline for the delivery follows what deliveries take, and never eats the deadline.

Method: feed it measured times; no clock.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork.server.delivery import MAX_SHARE, STALE_S, Delivery


def after(*times_s: float, quiet_s: float = 0.0) -> float:
    """What is kept of a long deadline after these deliveries, one a second, and so long without any."""
    delivery = Delivery()
    for now_s, seconds in enumerate(times_s):
        delivery.learn(seconds, float(now_s))
    return delivery.allowance_s(1000.0, len(times_s) - 1 + quiet_s)


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
    delivery.learn(5.0, 0.0)
    assert delivery.allowance_s(1.0, 0.0) == MAX_SHARE


@pytest.mark.parametrize("stall_s", [1.0, 60.0])
def test_one_stall_is_no_delivery_of_every_day(stall_s: float) -> None:
    """It counts as much as any outlier, however long it was, and a dozen deliveries later it is nearly forgotten."""
    before = [0.01, 0.03] * 50
    assert after(*before, stall_s) < 2.5 * after(*before)
    assert after(*before, stall_s, *[0.01, 0.03] * 6) < 1.2 * after(*before)


@given(st.lists(st.floats(0.001, 100.0), min_size=1, max_size=50))
def test_what_was_slow_is_not_believed_for_ever(times_s: list[float]) -> None:
    """While all are refused nothing is delivered, and it would never be known that the disk is fast again."""
    known = after(*times_s)
    assert after(*times_s, quiet_s=STALE_S - 1.0) == known
    assert after(*times_s, quiet_s=STALE_S) == pytest.approx(known / 2)
    assert after(*times_s, quiet_s=20 * STALE_S) < 1e-5 * known


def test_after_an_hour_of_quiet_it_learns_as_quickly_as_ever() -> None:
    delivery = Delivery()
    for now_s in [*range(100), *range(4000, 4020)]:
        delivery.learn(0.02, float(now_s))
    assert 0.02 <= delivery.allowance_s(10.0, 4019.0) < 0.025
