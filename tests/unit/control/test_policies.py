"""Goal: each policy decides as its docstring says.

Method: policies are pure functions of small views, so every test is a handful of numbers and the one answer.
"""

from math import inf

import pytest

from brickwork.control.admission import (
    MAX_QUEUED_REQUESTS,
    NO_EXECUTOR_RETRY_S,
    Admitted,
    Arrival,
    Refused,
    admit_by_predicted_finish,
)
from brickwork.control.batching import MAX_BATCH, BatchView, batch_limit, size_by_deadline
from brickwork.control.placement import Spot, place_by_least_finish
from brickwork.control.residency import Resident, unload_by_reuse
from brickwork.control.retry import FAILED_ALONE, LOST_ALONE, Again, BadEnd, GiveUp, retry_within_bounds
from brickwork.control.scheduling import SOFT_WAIT_S, rank_by_laxity, soft_deadline_s
from brickwork.core.ids import ExecutorId, ModelId


def arrival(
    deadline_s: float | None = None,
    path_s: float = 1.0,
    crowded_path_s: float | None = None,
    load_s: float = 0.0,
    ahead_s: float = 0.0,
    first_free_s: float = 0.0,
    executors: int = 2,
    queued: int = 0,
) -> Arrival:
    return Arrival(
        100.0, deadline_s, path_s, crowded_path_s or path_s, load_s, ahead_s, first_free_s, executors, queued
    )


class TestAdmission:
    def test_finish_is_work_ahead_over_executors_plus_loads_plus_path(self) -> None:
        view = arrival(ahead_s=4.0, load_s=0.5)
        assert admit_by_predicted_finish(view) == Admitted(100.0 + 4.0 / 2 + 0.5 + 1.0)

    def test_a_long_batch_everywhere_delays_more_than_little_work(self) -> None:
        assert admit_by_predicted_finish(arrival(ahead_s=1.0, first_free_s=9.0)) == Admitted(110.0)

    def test_company_makes_the_path_longer_but_not_hopeless(self) -> None:
        verdict = admit_by_predicted_finish(arrival(deadline_s=101.5, crowded_path_s=2.0))
        assert isinstance(verdict, Refused)
        assert verdict.retry_after_s == pytest.approx(0.5)

    def test_a_deadline_that_is_just_met_is_accepted(self) -> None:
        assert admit_by_predicted_finish(arrival(deadline_s=103.0, ahead_s=4.0)) == Admitted(103.0)

    def test_a_missed_deadline_is_refused_until_the_excess_has_drained(self) -> None:
        verdict = admit_by_predicted_finish(arrival(deadline_s=102.5, ahead_s=4.0))
        assert isinstance(verdict, Refused)
        assert verdict.retry_after_s == pytest.approx(0.5)
        drained = arrival(deadline_s=102.5, ahead_s=4.0 - 2 * 0.5)
        assert isinstance(admit_by_predicted_finish(drained), Admitted)

    def test_a_deadline_below_the_lone_path_is_never_worth_a_retry(self) -> None:
        verdict = admit_by_predicted_finish(arrival(deadline_s=100.9))
        assert isinstance(verdict, Refused)
        assert verdict.retry_after_s is None
        assert "1.000 s" in verdict.error

    def test_without_a_deadline_lateness_is_no_reason(self) -> None:
        assert admit_by_predicted_finish(arrival(ahead_s=1e6)) == Admitted(100.0 + 5e5 + 1.0)

    def test_without_executors_only_requests_without_deadline_wait(self) -> None:
        assert admit_by_predicted_finish(arrival(executors=0)) == Admitted(inf)
        verdict = admit_by_predicted_finish(arrival(executors=0, deadline_s=200.0))
        assert isinstance(verdict, Refused)
        assert verdict.retry_after_s == NO_EXECUTOR_RETRY_S

    def test_the_queue_is_bounded(self) -> None:
        verdict = admit_by_predicted_finish(arrival(queued=MAX_QUEUED_REQUESTS, ahead_s=2e4))
        assert isinstance(verdict, Refused)
        assert verdict.retry_after_s == pytest.approx(1.0)  # 10,000 s of queue, 10,000 requests
        assert isinstance(admit_by_predicted_finish(arrival(queued=MAX_QUEUED_REQUESTS - 1)), Admitted)


class TestOrder:
    def test_least_laxity_first_then_the_older_request(self) -> None:
        tight = rank_by_laxity(due_s=10.0, remaining_s=8.0, number=3, position=0)
        loose = rank_by_laxity(due_s=9.0, remaining_s=1.0, number=1, position=0)
        older = rank_by_laxity(due_s=10.0, remaining_s=8.0, number=2, position=1)
        assert sorted([loose, tight, older]) == [older, tight, loose]

    def test_best_effort_is_passed_only_for_a_bounded_time(self) -> None:
        waiting = rank_by_laxity(soft_deadline_s(0.0, 2.0), 2.0, number=1, position=0)
        for arrived_s in (SOFT_WAIT_S, SOFT_WAIT_S + 5.0):  # an accepted deadline leaves time for the path
            urgent = rank_by_laxity(arrived_s + 1.0, 1.0, number=2, position=0)
            assert waiting < urgent


class TestBatching:
    def test_the_limit_follows_the_marginal_gain(self) -> None:
        assert batch_limit(lambda n: 1.0) == MAX_BATCH  # free company
        assert batch_limit(lambda n: float(n)) == 1  # no gain at all
        assert batch_limit({1: 7.7, 2: 13.9, 4: 25.5}.__getitem__) == 1  # a VAE decode: 6.2 > 0.8 * 7.7
        assert batch_limit(lambda n: 2.0 + min(n, 4) * 0.5 + max(0, n - 4) * 3.0) == 4  # gains nothing beyond four

    def view(self, deadlines_s: list[float | None], ready: int = 8, holders: int = 1, limit: int = 8) -> BatchView:
        return BatchView(100.0, ready, holders, limit, deadlines_s, run_s=lambda n: 1.0 + 0.5 * n)

    def test_without_deadlines_all_that_is_worth_it_joins(self) -> None:
        assert size_by_deadline(self.view([None] * 8)) == 8
        assert size_by_deadline(self.view([None] * 5, ready=5)) == 5
        assert size_by_deadline(self.view([None] * 3, limit=3)) == 3

    def test_tasks_join_while_the_earliest_deadline_holds(self) -> None:
        assert size_by_deadline(self.view([103.0] + [None] * 7)) == 4  # four take 3.0 s, five 3.5 s
        assert size_by_deadline(self.view([110.0, 102.0, None, None])) == 2  # the second would be late in a three

    def test_a_deadline_that_is_lost_anyway_does_not_hold_others_back(self) -> None:
        assert size_by_deadline(self.view([101.0] + [None] * 7)) == 8

    def test_idle_holders_share_the_work(self) -> None:
        assert size_by_deadline(self.view([None] * 8, holders=3)) == 3
        assert size_by_deadline(self.view([None] * 2, ready=2, holders=4)) == 1


class TestPlacement:
    def spot(self, name: str, **seconds: float) -> Spot:
        times = dict.fromkeys(("wait_s", "load_s", "transfer_s", "run_s", "displaced_s"), 0.0) | seconds
        return Spot(ExecutorId(name), is_idle=times["wait_s"] == 0.0, **times)

    def test_waiting_for_a_holder_beats_a_long_load_and_loses_to_a_short_one(self) -> None:
        holder = self.spot("a", wait_s=2.0, run_s=1.0)
        assert place_by_least_finish([holder, self.spot("b", load_s=3.0, run_s=1.0)]) is holder
        loader = self.spot("b", load_s=1.5, run_s=1.0)
        assert place_by_least_finish([holder, loader]) is loader

    def test_transfers_and_displaced_models_count(self) -> None:
        far, near = self.spot("a", transfer_s=0.2, run_s=1.0), self.spot("b", run_s=1.1)
        assert place_by_least_finish([far, near]) is near
        full, empty = self.spot("a", load_s=1.0, displaced_s=0.5), self.spot("b", load_s=1.2)
        assert place_by_least_finish([full, empty]) is empty

    def test_ties_end_in_an_id(self) -> None:
        spots = [self.spot(name, run_s=1.0) for name in ("c", "a", "b")]
        assert place_by_least_finish(spots) is spots[1]
        assert place_by_least_finish([]) is None


class TestResidency:
    def resident(self, name: str, size: int, used_s: float, demand: int = 0, replicas: int = 1) -> Resident:
        return Resident(ModelId(name), size, used_s, demand, replicas)

    def test_unwanted_go_first_then_copies_then_the_least_recently_used(self) -> None:
        residents = [
            self.resident("only", 10, used_s=1.0, demand=2),
            self.resident("copy", 10, used_s=3.0, demand=2, replicas=2),
            self.resident("idle-new", 10, used_s=9.0),
            self.resident("idle-old", 10, used_s=2.0),
        ]
        assert unload_by_reuse(residents, 35) == ("idle-old", "idle-new", "copy", "only")
        assert unload_by_reuse(residents, 15) == ("idle-old", "idle-new")

    def test_nothing_goes_needlessly(self) -> None:
        residents = [self.resident("small", 10, 1.0), self.resident("large", 90, 2.0)]
        assert unload_by_reuse(residents, 80) == ("large",)
        assert unload_by_reuse(residents, 0) == ()

    def test_too_little_in_all_is_no_answer(self) -> None:
        assert unload_by_reuse([self.resident("a", 10, 1.0)], 11) is None


class TestRetry:
    def end(self, **changes: object) -> BadEnd:
        plain: dict[str, object] = {
            "lost_executor": False, "was_alone": True, "lost": 0, "lost_alone": 0,
            "failed_alone": 0, "has_other": True, "error": "it broke",
        }  # fmt: skip
        return BadEnd(**(plain | changes))  # type: ignore[arg-type]

    def test_one_lost_executor_means_nothing_two_isolate(self) -> None:
        once = retry_within_bounds(self.end(lost_executor=True, lost=1))
        twice = retry_within_bounds(self.end(lost_executor=True, lost=2))
        assert isinstance(once, Again) and not once.alone
        assert isinstance(twice, Again) and twice.alone

    def test_a_task_that_kills_executors_alone_is_given_up(self) -> None:
        last = retry_within_bounds(self.end(lost_executor=True, lost=6, lost_alone=LOST_ALONE - 1))
        over = retry_within_bounds(self.end(lost_executor=True, lost=7, lost_alone=LOST_ALONE))
        assert isinstance(last, Again)
        assert isinstance(over, GiveUp) and "5 executors" in over.error

    def test_a_suspect_goes_behind_others(self) -> None:
        """Only when nothing else ran beside it; the request's deadline itself does not move."""
        in_company = retry_within_bounds(self.end(lost_executor=True, was_alone=False, lost=1))
        alone = retry_within_bounds(self.end(lost_executor=True, was_alone=True, lost=1, lost_alone=1))
        assert in_company.later_s == 0.0 and alone.later_s > 0.0

    def test_a_failure_in_company_is_repeated_alone(self) -> None:
        verdict = retry_within_bounds(self.end(was_alone=False, has_other=False))
        assert verdict == Again(alone=True, elsewhere=False, reason="failed in company: it broke")

    def test_a_failure_alone_is_repeated_once_and_elsewhere(self) -> None:
        first = retry_within_bounds(self.end(failed_alone=1))
        assert isinstance(first, Again) and first.elsewhere
        assert retry_within_bounds(self.end(failed_alone=1, has_other=False)) == GiveUp("it broke")
        assert retry_within_bounds(self.end(failed_alone=FAILED_ALONE)) == GiveUp("it broke")
