"""Goal: the fleet follows the sets' loads: moves before starts, the best price first, nothing for nobody, limits hold.

Method: hand-made summaries with one answer; then drawn ones, of which what must hold of every plan is checked.
"""

from hypothesis import given
from hypothesis import strategies as st

from brickwork.node_manager.policy import (
    COOL_DOWN_S,
    IDLE_S,
    DeviceType,
    Move,
    SetLoad,
    Start,
    Stop,
    plan_fleet,
    wanted,
)

H800 = DeviceType("h800", 1.0, 4.0, 80 << 30, limit=16)
L20 = DeviceType("l20", 0.3, 0.9, 48 << 30, limit=4)


def load(
    name: str, executors: int, rate: float, spare_for_s: float = 0.0, idle_s: float = 0.0, gib: int = 24
) -> SetLoad:
    return SetLoad(name, executors, rate, 0.0, idle_s, spare_for_s, gib << 30)


def test_surplus_moves_before_anything_is_started() -> None:
    plan = plan_fleet([load("a", 4, 5.6), load("b", 3, 0.8, spare_for_s=COOL_DOWN_S)], [H800], {"h800": 7})
    assert plan == (Move("b", "a", 2), Start("a", "h800", 1))


def test_who_could_only_just_spare_one_keeps_it() -> None:
    plan = plan_fleet([load("a", 4, 5.6), load("b", 3, 0.8, spare_for_s=COOL_DOWN_S - 1)], [H800], {"h800": 7})
    assert plan == (Start("a", "h800", 3),)


def test_the_best_price_that_fits_and_is_to_be_had() -> None:
    assert plan_fleet([load("a", 0, 0.8)], [H800, L20], {}) == (Start("a", "l20", 4),)
    assert plan_fleet([load("a", 0, 1.6)], [H800, L20], {}) == (Start("a", "l20", 4), Start("a", "h800", 1))
    assert plan_fleet([load("a", 0, 0.8, gib=60)], [H800, L20], {}) == (Start("a", "h800", 1),)


def test_an_idle_set_goes_down_to_nothing() -> None:
    assert plan_fleet([load("a", 3, 0.0, idle_s=IDLE_S)], [H800], {"h800": 3}) == (Stop("a", 3),)


loads = st.builds(
    SetLoad, st.sampled_from("abcd"), st.integers(0, 9), st.floats(0.0, 20.0), st.floats(0.0, 500.0),
    st.sampled_from([0.0, IDLE_S]), st.sampled_from([0.0, COOL_DOWN_S]), st.sampled_from([24 << 30, 60 << 30]),
)  # fmt: skip


@given(st.lists(loads, max_size=4, unique_by=lambda each: each.name), st.integers(0, 16), st.integers(0, 4))
def test_every_plan_keeps_the_limits(sets: list[SetLoad], h800: int, l20: int) -> None:
    plan = plan_fleet(sets, [H800, L20], {"h800": h800, "l20": l20})
    owned = {each.name: each.executors for each in sets}
    started = {"h800": h800, "l20": l20}
    for order in plan:
        if isinstance(order, Start):
            started[order.device] += order.count
        else:
            owned[order.source] -= order.count
            if isinstance(order, Move):
                owned[order.target] += order.count
    assert started["h800"] <= H800.limit and started["l20"] <= L20.limit
    by_name = {each.name: each for each in sets}
    for name, count in owned.items():
        assert count >= min(wanted(by_name[name]), by_name[name].executors), f"{name} gave away what it needs"
