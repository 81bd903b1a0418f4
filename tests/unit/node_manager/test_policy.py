"""Goal: the fleet follows the sets' loads: moves before starts, the best price first, nothing for nobody, limits hold.

Method: hand-made loads with one answer; then drawn ones, of which what must hold of every plan is checked.
"""

from collections.abc import Mapping
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from brickwork.node_manager.policy import EPS, DeviceType, Move, SetLoad, Start, Stop, plan_fleet

H800 = DeviceType("h800", 1.0, 4.0, 80 << 30)
L20 = DeviceType("l20", 0.3, 0.9, 48 << 30)


def load(name: str, executors: int, needs: float, could_use: float = inf, gib: int = 24) -> SetLoad:
    return SetLoad(name, {"h800": executors}, needs, could_use, gib << 30)


def test_surplus_moves_before_anything_is_started() -> None:
    plan = plan_fleet([load("a", 4, 7.0), load("b", 3, 0.8, could_use=1.0)], [H800], {"h800": 9})
    assert plan == (Move("b", "a", "h800", 2), Start("a", "h800", 1))


def test_who_could_use_what_it_has_keeps_it() -> None:
    plan = plan_fleet([load("a", 4, 7.0), load("b", 3, 0.8, could_use=2.1)], [H800], {"h800": 9})
    assert plan == (Start("a", "h800", 3),)


def test_the_best_price_that_fits_and_is_to_be_had() -> None:
    free = {"h800": 16, "l20": 4}
    assert plan_fleet([load("a", 0, 1.0)], [H800, L20], free) == (Start("a", "l20", 4),)
    assert plan_fleet([load("a", 0, 2.0)], [H800, L20], free) == (Start("a", "l20", 4), Start("a", "h800", 1))
    assert plan_fleet([load("a", 0, 1.0, gib=60)], [H800, L20], free) == (Start("a", "h800", 1),)


def test_what_is_too_small_for_a_set_goes_where_it_is_not() -> None:
    sets = [SetLoad("clips", {"l20": 2}, 0.5, 0.8, 60 << 30), SetLoad("images", {}, 0.5, 0.8, 24 << 30)]
    assert plan_fleet(sets, [H800, L20], {"h800": 1}) == (Move("clips", "images", "l20", 2), Start("clips", "h800", 1))


def test_an_idle_set_goes_down_to_nothing_and_the_dearest_go_first() -> None:
    assert plan_fleet([load("a", 3, 0.0, could_use=0.0)], [H800], {}) == (Stop("a", "h800", 3),)
    mixed = SetLoad("a", {"h800": 2, "l20": 4}, 1.0, 1.2, 24 << 30)
    assert plan_fleet([mixed], [H800, L20], {}) == (Stop("a", "h800", 2),)


counts = st.fixed_dictionaries({"h800": st.integers(0, 9), "l20": st.integers(0, 9)})
loads = st.builds(
    lambda name, executors, needs, more, gib: SetLoad(name, executors, needs, needs + more, gib << 30),
    st.sampled_from("abcd"), counts, st.floats(0.0, 20.0), st.floats(0.0, 5.0), st.sampled_from([24, 60]),
)  # fmt: skip


@given(st.lists(loads, max_size=4, unique_by=lambda each: each.name), counts)
def test_every_plan_keeps_the_limits_and_leaves_everyone_what_it_needs(
    sets: list[SetLoad], free: Mapping[str, int]
) -> None:
    plan = plan_fleet(sets, [H800, L20], free)
    owned = {each.name: dict(each.executors) for each in sets}
    left = dict(free)
    for order in plan:
        assert order.count > 0
        if isinstance(order, Start):
            left[order.device] -= order.count
            owned[order.target][order.device] += order.count
        else:
            owned[order.source][order.device] -= order.count
            if isinstance(order, Move):
                owned[order.target][order.device] += order.count
    assert min(left.values()) >= 0, "more than there are"
    before = {each.name: units(each, each.executors) for each in sets}
    after = {each.name: units(each, owned[each.name]) for each in sets}
    for each in sets:
        assert min(owned[each.name].values()) >= 0
        assert after[each.name] >= min(each.needs, before[each.name]) - 1e-3, f"{each.name} gave away what it needs"
    short = [each for each in sets if after[each.name] < each.needs - 1e-3]
    for each in short:
        fits = [kind.name for kind in (H800, L20) if kind.memory_bytes >= each.need_bytes]
        assert not any(left[name] for name in fits), f"{each.name} lacks some, and devices were to be had"
        assert not any(isinstance(order, Stop) and order.device in fits for order in plan), "stopped what it lacks"


def units(load: SetLoad, executors: Mapping[str, int]) -> float:
    return sum(kind.speed * executors.get(kind.name, 0) for kind in (H800, L20) if kind.memory_bytes >= load.need_bytes)


def test_a_plan_that_was_carried_out_leaves_nothing_to_do() -> None:
    assert plan_fleet([load("a", 4, 4.0 + EPS / 2, could_use=4.0)], [H800], {"h800": 3}) == ()
