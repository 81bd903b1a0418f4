"""Goal: each policy decides as its docstring says.

Method: policies are pure functions of small views, so every test is a handful of numbers and the one answer.
"""

from dataclasses import replace
from math import inf
from typing import Any

import pytest

from brickwork.control.admission import (
    DEAR,
    FLOOR,
    MARGIN,
    MAX_QUEUED_REQUESTS,
    NO_EXECUTOR_RETRY_S,
    PROMISED,
    STALE_S,
    Admitted,
    Arrival,
    Company,
    Later,
    Refused,
    admit_by_predicted_finish,
)
from brickwork.control.batching import MAX_BATCH, BatchView, batch_limit, size_by_deadline
from brickwork.control.placement import Spot, place_by_least_finish
from brickwork.control.residency import Resident, unload_by_age, unload_by_worth
from brickwork.control.retry import FAILED_ALONE, LOST_ALONE, Again, BadEnd, GiveUp, retry_within_bounds
from brickwork.control.scheduling import SOFT_WAIT_S, rank_by_laxity, soft_deadline_s
from brickwork.core.ids import ExecutorId, ModelId


def arrival(
    deadline_s: float | None = None,
    path_s: float = 1.0,
    queued_s: float = 0.0,
    executors: int = 2,
    companies: tuple[Company, ...] = (),
    fastest_s: float | None = None,
    **more: Any,
) -> Arrival:
    """At time 100 on control's clock; `executors` are idle."""
    rest = {
        "arrived_s": 100.0, "own_s": path_s, "later": (), "start_s": (deadline_s or 0.0) - path_s, "load_s": 0.0,
        "total_s": queued_s + more.get("promised_s", 0.0), "promised_s": 0.0, "promised_requests": 0.0,
        "profiled_s": path_s, "quiet_s": 0.0,
        "is_promised": False, "allowance": 1.0, "requests": 0,
        "frees": ((0.0, executors, float(executors)),) if executors else (),
    }  # fmt: skip
    return Arrival(
        now_s=100.0,
        deadline_s=deadline_s,
        fastest_s=path_s if fastest_s is None else fastest_s,
        companies=companies or (Company(path_s, 1.0),),
        queued_s=queued_s,
        **(rest | more),
    )


def refused(view: Arrival) -> Refused:
    verdict = admit_by_predicted_finish(view)
    assert isinstance(verdict, Refused)
    return verdict


def admitted(view: Arrival) -> Admitted:
    verdict = admit_by_predicted_finish(view)
    assert isinstance(verdict, Admitted)
    return verdict


def is_admitted(view: Arrival) -> bool:
    return isinstance(admit_by_predicted_finish(view), Admitted)


class TestAdmission:
    def test_finish_is_work_ahead_over_executors_plus_loads_plus_path(self) -> None:
        view = arrival(queued_s=4.0, load_s=0.5)
        assert admit_by_predicted_finish(view) == Admitted(100.0 + 4.0 / 2 + 0.5 + 1.0, wait_s=2.0)

    def test_executors_share_the_work_as_they_get_free(self) -> None:
        """One at 1 s, another at 3 s: 2 s of the 4 are done by the first alone, the rest by both within 1 s."""
        view = arrival(queued_s=4.0, frees=((1.0, 1, 1.0), (3.0, 1, 1.0)))
        assert admit_by_predicted_finish(view) == Admitted(105.0, wait_s=4.0)

    def test_who_needs_several_executors_waits_until_so_many_are_free(self) -> None:
        view = arrival(queued_s=0.5, frees=((0.0, 1, 1.0), (3.0, 1, 1.0)), devices=2)
        assert admit_by_predicted_finish(view) == Admitted(104.0, wait_s=3.0)
        assert not is_admitted(arrival(deadline_s=103.0, frees=((0.0, 1, 1.0), (3.0, 1, 1.0)), devices=2))
        assert not is_admitted(arrival(deadline_s=200.0, frees=((0.0, 1, 1.0),), devices=2))

    def test_executors_that_are_too_slow_share_the_work_and_begin_nothing(self) -> None:
        """One at half the speed now, one that is fast enough after 1 s: 3 s of work end at 1 + (3 - 0.5) / 1.5."""
        frees = ((0.0, 0, 0.5), (1.0, 1, 1.0))
        assert admit_by_predicted_finish(arrival(frees=frees)) == Admitted(102.0, wait_s=1.0)
        verdict = admit_by_predicted_finish(arrival(queued_s=3.0, frees=frees))
        assert isinstance(verdict, Admitted) and verdict.wait_s == pytest.approx(1.0 + 2.5 / 1.5)

    def test_a_long_batch_elsewhere_is_in_nobodys_way(self) -> None:
        view = arrival(queued_s=0.5, frees=((0.0, 1, 1.0), (1000.0, 7, 7.0)))
        assert admit_by_predicted_finish(view) == Admitted(101.5, wait_s=0.5)

    def test_a_long_batch_everywhere_delays(self) -> None:
        view = arrival(queued_s=1.0, frees=((9.0, 2, 2.0),))
        assert admit_by_predicted_finish(view) == Admitted(110.5, wait_s=9.5)

    def test_a_deadline_is_met_when_the_wait_may_be_a_margin_longer(self) -> None:
        latest_s = 101.0 + 2.0 * (1 + MARGIN + PROMISED)
        assert is_admitted(arrival(deadline_s=latest_s + 1e-9, queued_s=4.0, promised_requests=1.0))
        assert not is_admitted(arrival(deadline_s=latest_s - 0.01, queued_s=4.0, promised_requests=1.0))
        assert is_admitted(arrival(deadline_s=101.0 + 2.0 * (1 + MARGIN) + 1e-9, queued_s=4.0)), (
            "nobody is to come back"
        )

    def test_dear_requests_leave_room_for_others_until_their_workflow_has_its_floor(self) -> None:
        latest_s = 101.0 + 2.0 * (1 + MARGIN + DEAR)
        assert is_admitted(arrival(deadline_s=latest_s + 1e-9, queued_s=4.0, dearness=2.0))
        assert not is_admitted(arrival(deadline_s=latest_s - 0.01, queued_s=4.0, dearness=2.0))
        assert is_admitted(arrival(deadline_s=latest_s - 0.01, queued_s=4.0, dearness=0.5))
        assert is_admitted(arrival(deadline_s=latest_s - 0.01, queued_s=4.0, dearness=2.0, served=FLOOR))
        assert is_admitted(arrival(deadline_s=101.0, dearness=100.0)), "nobody is there to leave room for"

    def test_a_queue_of_one_workflow_need_not_be_done_but_begun(self) -> None:
        """8 s on 4 executors: 2 s until they are done; of 2 s each on 3 of them half is left when the first is free."""
        view = arrival(
            deadline_s=102.0 + 1.25 * (1 + MARGIN) + 1e-9, path_s=2.0, queued_s=8.0, typical_s=2.0, executors=4
        )
        assert not is_admitted(view)
        assert admitted(replace(view, alone=1.0)).wait_s == pytest.approx((8.0 - 3.0) / 4)
        assert not is_admitted(replace(view, alone=0.5)), "(8 - 1.5) / 4 = 1.625 s"
        short = arrival(deadline_s=110.0, path_s=2.0, queued_s=2.0, typical_s=2.0, executors=4, alone=1.0)
        assert admitted(short).wait_s == pytest.approx(0.25), "no more than half of the queue has begun"

    def test_who_is_alone_need_not_leave_room(self) -> None:
        view = arrival(
            deadline_s=101.0 + 1.75 * (1 + MARGIN) + 1e-9, queued_s=4.0, typical_s=1.0, dearness=2.0, alone=1.0
        )
        assert is_admitted(view), "4 s on 2 executors, half a second of it only begun: 1.75 s"
        assert not is_admitted(replace(view, alone=0.9))

    def test_an_idle_system_needs_no_margin(self) -> None:
        assert is_admitted(arrival(deadline_s=101.0))

    def test_whoever_waits_as_long_as_told_is_accepted(self) -> None:
        view = arrival(deadline_s=102.5, queued_s=4.0, allowance=1.2)
        retry_s = refused(view).retry_after_s
        assert retry_s is not None and 0.0 < retry_s < 2.0
        assert is_admitted(replace(view, queued_s=4.0 - 2 * retry_s - 1e-9))
        assert not is_admitted(replace(view, queued_s=4.0 - 2 * (retry_s - 0.05)))

    def test_what_was_promised_to_others_is_ahead_of_a_new_request(self) -> None:
        first = refused(arrival(deadline_s=102.0, queued_s=4.0))
        second = refused(arrival(deadline_s=102.0, queued_s=4.0, promised_s=1.0))
        assert first.retry_after_s is not None
        assert second.retry_after_s == pytest.approx(first.retry_after_s + 1.0 / 2)  # one second of work, two executors

    def test_who_was_promised_is_measured_against_accepted_work_alone(self) -> None:
        view = arrival(deadline_s=103.0, queued_s=4.0, promised_s=50.0)
        assert not is_admitted(view)
        assert is_admitted(replace(view, is_promised=True))

    def test_a_promise_that_cannot_be_kept_is_told_another_time(self) -> None:
        verdict = refused(arrival(deadline_s=103.0, queued_s=5.0, is_promised=True))
        assert verdict.retry_after_s == pytest.approx(0.5)

    def test_what_is_promised_and_ranks_later_is_not_made_late(self) -> None:
        """The next in line has to start in 1.2 s, behind 2 s of work on two executors; this one takes a second."""
        view = arrival(deadline_s=102.5, queued_s=2.0, later=(Later(101.2, 2.0),), total_s=3.0)
        assert not is_admitted(view)
        assert is_admitted(replace(view, later=(Later(102.0, 2.0),)))
        assert is_admitted(replace(view, is_promised=True))

    def test_devices_do_not_idle_for_promises(self) -> None:
        assert is_admitted(arrival(deadline_s=102.0, queued_s=0.4, promised_s=50.0))

    def test_batches_are_as_large_as_half_the_deadline_allows(self) -> None:
        companies = (Company(1.0, 1.6), Company(1.5, 1.2), Company(3.0, 1.0))
        view = arrival(deadline_s=104.0, queued_s=2.0, companies=companies)
        assert admit_by_predicted_finish(view) == Admitted(100.0 + 1.2 * 2.0 / 2 + 1.5, wait_s=pytest.approx(1.2))

    def test_a_deadline_below_the_lone_path_is_never_worth_a_retry(self) -> None:
        verdict = refused(arrival(deadline_s=100.9))
        assert verdict.retry_after_s is None
        assert "1.000 s" in verdict.error

    def test_devices_that_are_slow_for_the_time_being_are_worth_one(self) -> None:
        verdict = refused(arrival(deadline_s=100.9, profiled_s=0.5, quiet_s=STALE_S - 2.0))
        assert verdict.retry_after_s == 2.0

    def test_several_devices_count_when_one_is_too_slow(self) -> None:
        assert is_admitted(arrival(deadline_s=100.9, fastest_s=0.6, queued_s=0.4))
        assert refused(arrival(deadline_s=100.9, fastest_s=0.6, queued_s=0.8)).retry_after_s is not None

    def test_time_on_the_way_counts_against_the_deadline_and_not_against_its_sense(self) -> None:
        """1.2 s of deadline, of which 0.5 s are gone when admission sees it: too late now, but not hopeless."""
        assert refused(arrival(deadline_s=100.7, arrived_s=99.5)).retry_after_s == pytest.approx(0.3 / (1 + MARGIN))

    def test_without_a_deadline_lateness_is_no_reason(self) -> None:
        assert admit_by_predicted_finish(arrival(queued_s=1e6)) == Admitted(100.0 + 5e5 + 1.0, wait_s=5e5)

    def test_without_executors_only_requests_without_deadline_wait(self) -> None:
        assert admit_by_predicted_finish(arrival(executors=0)) == Admitted(inf, inf)
        assert refused(arrival(executors=0, deadline_s=200.0)).retry_after_s == NO_EXECUTOR_RETRY_S

    def test_the_queue_is_bounded(self) -> None:
        full = arrival(requests=MAX_QUEUED_REQUESTS, queued_s=2e4)
        assert refused(full).retry_after_s == pytest.approx(1.0)  # 10,000 s of queue, 10,000 requests
        assert is_admitted(replace(full, requests=MAX_QUEUED_REQUESTS - 1))

    def test_a_full_queue_tells_each_another_time(self) -> None:
        full = arrival(requests=MAX_QUEUED_REQUESTS, queued_s=2e4, promised_requests=3.0)
        assert refused(full).retry_after_s == pytest.approx(4.0)
        assert not is_admitted(replace(full, requests=MAX_QUEUED_REQUESTS - 2))
        assert is_admitted(replace(full, requests=MAX_QUEUED_REQUESTS - 2, is_promised=True))


class TestOrder:
    def test_least_laxity_first_then_the_older_request(self) -> None:
        tight = rank_by_laxity(due_s=10.0, remaining_s=8.0, is_short=False, number=3, position=0)
        loose = rank_by_laxity(due_s=9.0, remaining_s=1.0, is_short=False, number=1, position=0)
        older = rank_by_laxity(due_s=10.0, remaining_s=8.0, is_short=False, number=2, position=1)
        assert sorted([loose, tight, older]) == [older, tight, loose]

    def test_a_short_task_passes_those_of_its_like(self) -> None:
        encoder = rank_by_laxity(due_s=12.0, remaining_s=4.0, is_short=True, number=2, position=0)
        loop = rank_by_laxity(due_s=10.0, remaining_s=4.0, is_short=False, number=1, position=1)
        urgent = rank_by_laxity(due_s=3.9, remaining_s=0.0, is_short=False, number=3, position=2)
        assert sorted([loop, encoder, urgent]) == [urgent, encoder, loop]

    def test_best_effort_is_passed_only_for_a_bounded_time(self) -> None:
        waiting = rank_by_laxity(soft_deadline_s(0.0, 2.0), 2.0, is_short=False, number=1, position=0)
        for arrived_s in (SOFT_WAIT_S, SOFT_WAIT_S + 5.0):  # an accepted deadline leaves time for the path
            urgent = rank_by_laxity(arrived_s + 1.0, 1.0, is_short=False, number=2, position=0)
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
    def resident(
        self, name: str, size: int, used_s: float, worth: float = 0.0, needed_s: float | None = None
    ) -> Resident:
        return Resident(ModelId(name), size, used_s, worth, needed_s)

    def test_what_is_worth_least_goes_first_and_what_is_needed_soonest_last(self) -> None:
        residents = [
            self.resident("now", 10, used_s=1.0, needed_s=3.0),
            self.resident("soon", 10, used_s=1.0, needed_s=30.0),
            self.resident("likely", 10, used_s=1.0, worth=0.2),
            self.resident("new", 10, used_s=9.0),
            self.resident("old", 10, used_s=2.0),
        ]
        assert unload_by_worth(residents, 50) == ("old", "new", "likely", "soon", "now")
        assert unload_by_worth(residents, 15) == ("old", "new")
        assert unload_by_age(residents, 10) == ("likely",)

    def test_worth_counts_by_size(self) -> None:
        """Two small models that are worth less each, and more together, stay for a large one."""
        residents = [self.resident("a", 10, 1.0, 0.3), self.resident("b", 10, 1.0, 0.3)]
        assert unload_by_worth([*residents, self.resident("large", 20, 2.0, 0.5)], 20) == ("large",)

    def test_nothing_goes_needlessly(self) -> None:
        residents = [self.resident("small", 10, 1.0), self.resident("large", 90, 2.0)]
        assert unload_by_worth(residents, 80) == ("large",)
        assert unload_by_worth(residents, 0) == ()

    def test_too_little_in_all_is_no_answer(self) -> None:
        assert unload_by_worth([self.resident("a", 10, 1.0)], 11) is None


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
