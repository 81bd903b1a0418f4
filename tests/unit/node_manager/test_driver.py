"""Goal: the Node Manager follows a load that changes, leaves one alone that does not, and gives all back in the end.

Method: summaries of sets under drawn loads are fed to `step`, and its orders carried out at once.
"""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from brickwork.control.summary import Summary
from brickwork.node_manager.driver import NodeManager, Terms
from brickwork.node_manager.policy import DeviceType, Move, Order, Start, Stop

EVERY_S = 5.0
TYPES = (DeviceType("h800", 1.0, 4.0, 80 << 30), DeviceType("l20", 0.3, 0.9, 48 << 30))
NOTHING = Summary("h800", {}, False, 0.0, 0.0, 0.0, 0.0, 24 << 30, frozenset())


class Fleet:
    """Carries orders out at once."""

    def __init__(self, h800: dict[str, int], free: int = 16):
        self.owned = {name: {"h800": count, "l20": 0} for name, count in h800.items()}
        self.free = {"h800": free, "l20": 4}
        self.said = dict.fromkeys(h800, NOTHING)
        self.manager = NodeManager(TYPES, Terms(cool_down_s=60.0, idle_s=300.0))
        self.now_s = 0.0

    def run(self, seconds: float, rates: dict[str, float]) -> list[Order]:
        """The sets are asked for so many device seconds a second, and do what they can at once."""
        given: list[Order] = []
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s += EVERY_S
            for name, rate in rates.items():
                before = self.said[name]
                self.said[name] = replace(before, is_busy=rate > 0.0, offered_s=before.offered_s + rate * EVERY_S)
            orders = self.manager.step(self.said, self.owned, self.free, self.now_s)
            for order in orders:
                self._carry_out(order)
            given += orders
        return given

    def _carry_out(self, order: Order) -> None:
        if not isinstance(order, Start):
            self.owned[order.source][order.device] -= order.count
        if isinstance(order, Start | Stop):
            self.free[order.device] += order.count if isinstance(order, Stop) else -order.count
        if not isinstance(order, Stop):
            self.owned[order.target][order.device] += order.count

    def count(self, name: str) -> int:
        return sum(self.owned[name].values())


rates = st.fixed_dictionaries({"images": st.floats(0.0, 6.0), "clips": st.floats(0.0, 6.0)})


@given(rates, st.integers(0, 8), st.integers(0, 8))
@settings(max_examples=50, deadline=None)
def test_a_constant_load_settles(rates: dict[str, float], images: int, clips: int) -> None:
    fleet = Fleet({"images": images, "clips": clips})
    fleet.run(900.0, rates)
    assert fleet.run(600.0, rates) == []
    for name, rate in rates.items():
        assert (fleet.count(name) > 0) == (rate > 0.0)


def test_a_load_that_shifts_takes_executors_along() -> None:
    fleet = Fleet({"images": 5, "clips": 3}, free=0)
    fleet.free["l20"] = 0
    assert fleet.run(600.0, {"images": 3.2, "clips": 1.6}) == []
    orders = fleet.run(600.0, {"images": 1.6, "clips": 4.0})
    assert {type(order) for order in orders} == {Move} and fleet.count("clips") == 5


def test_nothing_is_kept_for_nobody_and_work_brings_executors_back() -> None:
    fleet = Fleet({"images": 3})
    fleet.run(600.0, {"images": 0.0})
    assert fleet.count("images") == 0
    assert fleet.run(EVERY_S, {"images": 0.1}) == [Start("images", "l20", 1)]


def test_a_short_pause_costs_no_executor() -> None:
    fleet = Fleet({"images": 4}, free=0)
    fleet.free["l20"] = 0
    fleet.run(300.0, {"images": 2.3})
    assert fleet.run(20.0, {"images": 0.0}) == []
    assert fleet.run(120.0, {"images": 2.3}) == []


def test_a_backlog_counts() -> None:
    fleet = Fleet({"images": 1})
    fleet.said["images"] = replace(NOTHING, queued_s=90.0, is_busy=True)
    assert fleet.manager.step(fleet.said, fleet.owned, {"h800": 9}, 5.0) == (Start("images", "h800", 2),)
