"""Goal: the policies of step boundaries, spreading and fairness decide as their docstrings say, and every one
is found by its name.

Method: each is a pure function of a small view, so every test is a handful of numbers and the one answer.
"""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork.control.events import ExecutorJoined, RequestArrived
from brickwork.control.fairness import MAX_LEAD_S, PRIORITY_S, Tenant, lead_by_weight
from brickwork.control.machine import Control
from brickwork.control.pace import Pace
from brickwork.control.parallelism import MIN_EFFICIENCY, Choice, SpreadView, spread_by_least_device_time
from brickwork.control.policies import ABLATIONS, NAMES, Policies, by_name
from brickwork.control.preemption import UrgentView, Victim, preempt_by_laxity
from brickwork.control.tenants import Tenants
from brickwork.core.batch import Layout
from brickwork.core.ids import ExecutorId, TaskId
from support.plans import MIB, chain, profile, request

CHOICES = [Choice(Layout(degree), 0.0, run_s) for degree, run_s in ((1, 2.0), (2, 1.1), (4, 0.7))]


def spread(slack_s: float | None, others_wait: bool) -> int:
    return spread_by_least_device_time(SpreadView(slack_s, others_wait, CHOICES)).degree


class TestSpreading:
    def test_the_least_device_time_that_is_in_time(self) -> None:
        assert spread(0.8, others_wait=True) == 4

    def test_well_used_devices_are_given_though_others_wait(self) -> None:
        assert spread(3.0, others_wait=True) == 2  # 2.0 / 2.2 = 0.91; four would be 0.71

    def test_all_that_helps_is_given_when_nothing_waits(self) -> None:
        assert spread(3.0, others_wait=False) == 4

    @given(
        st.lists(st.floats(0.1, 10.0), min_size=1, max_size=4), st.one_of(st.none(), st.floats(0.1, 9.0)), st.booleans()
    )
    def test_beyond_what_the_deadline_needs_efficiency_holds(
        self, runs_s: list[float], slack_s: float | None, others_wait: bool
    ) -> None:
        choices = [Choice(Layout(1 << k), 0.0, run_s) for k, run_s in enumerate(runs_s)]
        layout = spread_by_least_device_time(SpreadView(slack_s, others_wait, choices))
        chosen = next(choice for choice in choices if choice.layout == layout)
        narrower = [c for c in choices if c.layout.devices < layout.devices]
        needed = slack_s is not None and all(c.finish_s > slack_s for c in narrower) and chosen.finish_s <= slack_s
        if layout.devices > 1 and others_wait and not needed and slack_s is None:
            assert choices[0].device_s >= MIN_EFFICIENCY * chosen.device_s
        if slack_s is not None and any(c.finish_s <= slack_s for c in choices):
            assert chosen.finish_s <= slack_s, "it could have been in time"


def victim(name: str, laxity_s: float, delay_s: float = 2.0, finish_s: float = 2.1) -> Victim:
    return Victim(ExecutorId(name), laxity_s, delay_s, finish_s)


class TestPreemption:
    def test_the_batch_with_most_laxity_yields(self) -> None:
        view = UrgentView(2.2, 24.0, [victim("e1", 9.0), victim("e2", 12.0), victim("e3", 1.0)])
        assert preempt_by_laxity(view) == victim("e2", 12.0)

    def test_nobody_yields_that_would_be_late_for_it(self) -> None:
        assert preempt_by_laxity(UrgentView(2.2, 24.0, [victim("e1", 1.9)])) is None

    def test_nobody_yields_in_vain(self) -> None:
        assert preempt_by_laxity(UrgentView(2.0, 24.0, [victim("e1", 9.0)])) is None

    def test_nobody_yields_to_a_task_that_can_wait(self) -> None:
        assert preempt_by_laxity(UrgentView(30.0, 24.0, [victim("e1", inf, delay_s=20.0)])) is None

    def test_a_short_task_is_let_through(self) -> None:
        short = victim("e1", 9.0, delay_s=0.02, finish_s=0.1)
        assert preempt_by_laxity(UrgentView(None, 24.0, [short])) == short


class TestFairness:
    def test_who_had_more_than_its_share_comes_later(self) -> None:
        tenants = Tenants({"large": Tenant(weight=3.0)})
        tenants.enter("small", 12.0)
        tenants.enter("large", 12.0)
        assert lead_by_weight(tenants.view("small", executors=2)) == pytest.approx(4.0)
        assert lead_by_weight(tenants.view("large", executors=2)) == 0.0

    def test_the_lead_is_bounded_and_alone_there_is_none(self) -> None:
        tenants = Tenants()
        tenants.enter("a", 1e6)
        assert lead_by_weight(tenants.view("a", 1)) == 0.0
        assert lead_by_weight(tenants.view("b", 1)) == 0.0  # who comes anew starts where the slowest is
        tenants.enter("b", 1.0)
        tenants.enter("a", 1e6)
        assert lead_by_weight(tenants.view("a", 1)) == MAX_LEAD_S

    def test_priority_outweighs_everything(self) -> None:
        tenants = Tenants({"vip": Tenant(priority=1)})
        tenants.enter("vip", 1e6)
        tenants.enter("other", 1.0)
        assert lead_by_weight(tenants.view("vip", 1)) <= MAX_LEAD_S - PRIORITY_S < 0.0

    def test_a_quota_counts_requests_in_the_system(self) -> None:
        tenants = Tenants({"a": Tenant(max_requests=1)})
        assert tenants.has_room("a")
        tenants.enter("a", 1.0)
        assert not tenants.has_room("a") and tenants.has_room("b")
        tenants.leave("a")
        assert tenants.has_room("a")


class TestPace:
    def pace(self) -> Pace:
        left = {TaskId("a"): 4.0, TaskId("b"): 6.0}
        return Pace(10.0, left, lambda rows: 0.1 if rows > 1 else 0.06, rest_s=0.0)

    def test_the_example_of_the_docstring(self) -> None:
        pace = self.pace()
        pace.advance(10.25)
        assert pace.left == pytest.approx({"a": 1.5, "b": 3.5})
        assert pace.end_s() == pytest.approx(10.52)

    def test_a_step_ends_where_the_next_begins(self) -> None:
        pace = self.pace()
        assert pace.boundary_s(9.5) == pytest.approx(0.5 + 0.1), "it begins at 10"
        assert pace.boundary_s(10.27) == pytest.approx(0.03)
        assert pace.boundary_s(10.41) == pytest.approx(0.05), "one row is left, and its steps are shorter"

    def test_a_row_that_joins_is_told_its_own_end_and_the_last(self) -> None:
        own_s, last_s = self.pace().ends_with_s(1.0)
        assert own_s == pytest.approx(10.1) and last_s == pytest.approx(10.1 + 0.3 + 0.12)

    @pytest.mark.parametrize(
        ("one_s", "passed_s"), [(24.21805645894463, 56.02619934875128), (12.917188436997646, 30.180373564618623)]
    )
    def test_rounding_leaves_nothing_that_would_take_for_ever(self, one_s: float, passed_s: float) -> None:
        """passed - (passed / one) * one is not 0 for these, and too little to move the steps that are left."""
        pace = Pace(0.0, {TaskId("a"): 1e4}, lambda rows: one_s, rest_s=0.0)
        pace.advance(passed_s)
        assert pace.left[TaskId("a")] == pytest.approx(1e4 - passed_s / one_s)

    @given(st.lists(st.floats(0.0, 3.0), max_size=6))
    def test_time_in_pieces_is_time_at_once(self, pauses_s: list[float]) -> None:
        pieces, whole, now_s = self.pace(), self.pace(), 10.0
        for pause_s in pauses_s:
            now_s += pause_s
            pieces.advance(now_s)
        whole.advance(now_s)
        assert set(pieces.left) == set(whole.left)
        assert list(pieces.left.values()) == pytest.approx(list(whole.left.values()), abs=1e-6)

    @given(st.floats(1e-3, 1e3), st.lists(st.floats(1e-9, 1e3), min_size=1, max_size=20), st.floats(0.0, 1e6))
    def test_it_comes_to_an_end_whatever_rounding_does(
        self, one_s: float, pauses_s: list[float], start_s: float
    ) -> None:
        pace = Pace(start_s, {TaskId("a"): 40.0, TaskId("b"): 50.0}, lambda rows: one_s * rows, rest_s=0.0)
        for pause_s in pauses_s:
            start_s += pause_s
            pace.advance(start_s)
            assert all(left > 0.0 for left in pace.left.values())


class TestNames:
    def test_the_first_name_of_each_decision_is_the_shipped_one(self) -> None:
        assert by_name(**{decision: next(iter(names)) for decision, (_, names) in NAMES.items()}) == Policies()

    def test_every_ablation_turns_something_off(self) -> None:
        assert all(by_name(**choices) != Policies() for choices in ABLATIONS.values())

    def test_unknown_names_are_told_what_there_is(self) -> None:
        with pytest.raises(ValueError, match="laxity, fifo"):
            by_name(order="random")
        with pytest.raises(ValueError, match="admission, degradation, order"):
            by_name(ordre="fifo")

    @pytest.mark.parametrize(("name", "outcome"), [("least", "Accept"), ("none", "Finish")])
    def test_without_degradation_a_request_is_taken_as_it_is_or_refused(self, name: str, outcome: str) -> None:
        control = Control(profile(), by_name(degradation=name))
        control.handle(ExecutorJoined(ExecutorId("e1"), "cpu-1", 8 * MIB), 0.0)
        asked = request("r-1", steps=100, deadline_s=0.6, least_steps=4)  # 1 s of steps, and 0.15 s of loads
        first = control.handle(RequestArrived(asked, chain()), 0.0)[0]
        assert type(first).__name__ == outcome
