"""Goal: events lead to the orders that a reader of docs/concepts/control.md expects.

Method: feed events, look at the returned actions. Every test ends with State.check(). Executors answer as the
adversarial world's do, but kindly; races are told step by step.
"""

from collections.abc import Iterator

import pytest

from brickwork.control.actions import Accept, Action, Dispatch, Finish, Load, Release, Stop, Unload
from brickwork.control.dispatch import MAX_HOMELESS_S
from brickwork.control.events import (
    BatchReported,
    CancelRequested,
    Event,
    ExecutorJoined,
    ExecutorLost,
    ExecutorWaiting,
    LoadFailed,
    ModelLoaded,
    RequestArrived,
    Woke,
)
from brickwork.control.machine import Control
from brickwork.control.retry import LOST_ALONE
from brickwork.core.batch import TaskEnd
from brickwork.core.ids import BatchId, ExecutorId, ModelId, RequestId
from brickwork.core.request import Outcome
from brickwork.core.tensor import TensorHandle
from support.plans import MIB, chain, fork, handle, profile, redraw, request


class Desk:
    """Hands events to a Control and keeps the actions, with shorthands for the usual ones."""

    def __init__(self) -> None:
        self.control = Control(profile())
        self.now_s = 0.0
        self.blocks = 0

    def tell(self, event: Event, after_s: float = 0.001) -> list[Action]:
        self.now_s += after_s
        return self.control.handle(event, self.now_s)

    def join(self, name: str, mib: float = 8) -> list[Action]:
        return self.tell(ExecutorJoined(ExecutorId(name), "cpu-1", int(mib * MIB)))

    def lose(self, name: str) -> list[Action]:
        return self.tell(ExecutorLost(ExecutorId(name), "killed by signal 9"))

    def done(self, batch: Dispatch, status: str = "done", is_last: bool = True) -> list[Action]:
        return self.tell(self.report(batch, status, is_last))

    def report(self, batch: Dispatch, status: str = "done", is_last: bool = True) -> BatchReported:
        ends = []
        for run in batch.runs:
            outputs = tuple(self.tensor() for _ in batch.program.results) if status == "done" else ()
            ends.append(TaskEnd(run.task_id, run.attempt, status, outputs, "" if status == "done" else "it broke"))
        return BatchReported(batch.executor, batch.batch, tuple(ends), is_last, 0.01)

    def tensor(self) -> TensorHandle:
        self.blocks += 1
        return handle(self.blocks)


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.control.state.check()


def kinds(actions: list[Action]) -> list[str]:
    return [type(action).__name__ for action in actions]


def dispatches(actions: list[Action]) -> list[Dispatch]:
    return [action for action in actions if isinstance(action, Dispatch)]


def finish(actions: list[Action]) -> Finish:
    [found] = [action for action in actions if isinstance(action, Finish)]
    return found


def test_one_request_from_arrival_to_result(desk: Desk) -> None:
    desk.join("e1")
    actions = desk.tell(RequestArrived(request("r-1"), chain()))
    assert kinds(actions) == ["Accept", "Load", "Dispatch"]
    actions = desk.done(actions[-1])
    assert kinds(actions) == ["Load", "Dispatch"]
    actions = desk.done(actions[-1])
    assert kinds(actions) == ["Release", "Load", "Dispatch"]  # the embedding has been read
    actions = desk.done(actions[-1])
    assert kinds(actions) == ["Release", "Finish"]
    result = finish(actions)
    assert result.outcome is Outcome.SUCCEEDED
    assert result.results == (("image", handle(3)),)


def test_the_worked_example_of_the_page(desk: Desk) -> None:
    """The table of docs/concepts/control.md, row by row."""
    desk.join("e1")
    actions = desk.tell(RequestArrived(request("r-1"), chain()), after_s=0.0)
    assert kinds(actions) == ["Accept", "Load", "Dispatch"]
    actions = desk.tell(desk.report(actions[-1]), after_s=0.051)
    assert kinds(actions) == ["Load", "Dispatch"]
    for name in ("r-2", "r-3"):
        assert kinds(desk.tell(RequestArrived(request(name), chain()), after_s=0.005)) == ["Accept"]
    actions = desk.tell(desk.report(actions[-1]), after_s=0.080)
    assert kinds(actions) == ["Release", "Load", "Dispatch"]
    actions = desk.tell(desk.report(actions[-1]), after_s=0.058)
    assert kinds(actions) == ["Release", "Finish", "Dispatch"]
    [batch] = dispatches(actions)
    assert [run.task_id for run in batch.runs] == ["r-2/encode", "r-3/encode"]
    assert "2 of 2 ready" in batch.cause


def test_causes_name_event_and_reason(desk: Desk) -> None:
    desk.join("e1")
    actions = desk.tell(RequestArrived(request("r-1"), chain()))
    assert actions[-1].cause == "RequestArrived r-1: 1 of 1 ready, done soonest on e1"
    story = desk.control.story(RequestId("r-1"))
    assert story[0].endswith("<- RequestArrived r-1: admitted")
    assert any("Dispatch batch 1 to e1: r-1/encode#1" in line for line in story)


def test_branches_run_beside_each_other(desk: Desk) -> None:
    desk.join("e1")
    desk.join("e2")
    first = dispatches(desk.tell(RequestArrived(request("r-1"), fork())))
    branches = dispatches(desk.done(first[0]))
    assert {batch.executor for batch in branches} == {"e1", "e2"}
    assert desk.done(branches[0]) == []  # the join waits for the other branch
    [decode] = dispatches(desk.done(branches[1]))
    assert len(decode.runs[0].args) == 2


def test_equal_tasks_of_two_workflows_share_a_batch(desk: Desk) -> None:
    """Two workflows with the same text encoder queue behind a third request; their encodes then run together."""
    desk.join("e1")
    [first] = dispatches(desk.tell(RequestArrived(request("r-1"), redraw(), (("given", desk.tensor()),))))
    desk.tell(RequestArrived(request("r-2"), chain()))
    desk.tell(RequestArrived(request("r-3"), chain("other", dit="dit2")))
    actions = desk.done(first)
    [batch] = [each for each in dispatches(actions) if "encode" in each.program.id] or dispatches(
        desk.done(dispatches(actions)[0])
    )
    assert [run.task_id for run in batch.runs] == ["r-2/encode", "r-3/encode"]


def test_deterministic_requests_run_alone(desk: Desk) -> None:
    desk.join("e1")
    [first] = dispatches(desk.tell(RequestArrived(request("r-1"), chain())))
    for name in ("r-2", "r-3"):
        desk.tell(RequestArrived(request(name, deterministic=True), chain()))
    while batches := dispatches(desk.done(first)):
        [first] = batches
        assert len(first.runs) == 1


def test_a_model_makes_room_for_another(desk: Desk) -> None:
    desk.join("e1", mib=1.5)
    [encode] = dispatches(desk.tell(RequestArrived(request("r-1"), chain())))
    actions = desk.done(encode)
    assert kinds(actions) == ["Unload", "Load", "Dispatch"]
    assert isinstance(actions[0], Unload) and actions[0].model == "text"


def test_a_program_too_large_for_every_executor_fails_at_once(desk: Desk) -> None:
    desk.join("e1", mib=2)
    actions = desk.tell(RequestArrived(request("r-1"), chain(mib=3)))
    assert kinds(actions) == ["Finish"]
    error = finish(actions).error
    for part in ("text (3,145,728 bytes)", "2,097,152 bytes", "Raise the memory budget"):
        assert part in error


def test_a_large_program_waits_for_the_large_executor_to_return(desk: Desk) -> None:
    """1. the large executor dies  2. a request that only it can hold arrives  3. it comes back in a new life."""
    desk.join("large.1", mib=8)
    desk.join("small.1", mib=2)
    desk.lose("large.1")
    assert kinds(desk.tell(RequestArrived(request("r-1"), chain(mib=3)))) == ["Accept"]
    assert desk.control.next_wake_s() == pytest.approx(desk.now_s + MAX_HOMELESS_S)
    assert kinds(desk.join("large.2", mib=8)) == ["Load", "Dispatch"]


def test_waiting_for_an_executor_is_bounded(desk: Desk) -> None:
    tensor = desk.tensor()
    desk.tell(RequestArrived(request("r-1"), fork(dits=("dit", "dit"))))
    desk.tell(RequestArrived(request("r-2"), redraw(), (("given", tensor),)))
    actions = desk.tell(Woke(), after_s=MAX_HOMELESS_S + 1)
    finished = [action for action in actions if isinstance(action, Finish)]
    assert [each.outcome for each in finished] == [Outcome.FAILED, Outcome.FAILED]
    assert all("waited 120 s" in each.error for each in finished)
    assert [each.handles for each in actions if isinstance(each, Release)] == [(tensor,)]


def test_twin_tasks_that_wait_in_vain_fail_their_request_once(desk: Desk) -> None:
    """Both branches are ready in one group when their executor dies; the first to give up cancels the other."""
    desk.join("e1")
    [encode] = dispatches(desk.tell(RequestArrived(request("r-1"), fork(dits=("dit", "dit")))))
    [pair] = dispatches(desk.done(encode))
    assert len(pair.runs) == 2
    desk.lose("e1")
    assert kinds(desk.tell(Woke(), after_s=MAX_HOMELESS_S + 1)) == ["Release", "Finish"]


def start_a_denoise_that_another_waits_for(desk: Desk) -> Dispatch:
    """r-1 runs its denoise (40 ms, loaded) on e1; r-2, which needs the same model, comes 10 ms before its end."""
    desk.join("e1")
    [encode] = dispatches(desk.tell(RequestArrived(request("r-1", steps=4), chain())))
    [denoise] = dispatches(desk.done(encode))
    for model in ("text", "dit"):
        desk.tell(ModelLoaded(denoise.executor, ModelId(model), 0.05))
    desk.join("e2")
    arrival = RequestArrived(request("r-2", steps=4), redraw(), (("given", desk.tensor()),))
    assert kinds(desk.tell(arrival, after_s=0.03)) == ["Accept"]
    return denoise


def test_a_busy_holder_is_waited_for_when_a_load_takes_longer(desk: Desk) -> None:
    denoise = start_a_denoise_that_another_waits_for(desk)
    waiting, decode = sorted(dispatches(desk.done(denoise)), key=lambda batch: batch.executor)
    assert waiting.executor == denoise.executor and waiting.runs[0].task_id == "r-2/denoise"
    assert decode.executor == "e2" and decode.runs[0].task_id == "r-1/decode"


def test_an_executor_that_hangs_is_waited_for_less_and_less(desk: Desk) -> None:
    """r-1's denoise never ends: after some wakes r-2's is loaded elsewhere."""
    denoise = start_a_denoise_that_another_waits_for(desk)
    for _ in range(20):
        wake_s = desk.control.next_wake_s()
        assert wake_s is not None and wake_s > desk.now_s
        if started := dispatches(desk.tell(Woke(), after_s=wake_s - desk.now_s)):
            assert started[0].executor != denoise.executor
            return
    pytest.fail("waited for ever")


def test_a_backlog_is_worth_another_replica(desk: Desk) -> None:
    """One request waits for the busy holder; ten more make it worthwhile to load the model on the idle executor."""
    start_a_denoise_that_another_waits_for(desk)
    for number in range(3, 20):
        event = RequestArrived(request(f"r-{number}", steps=4), redraw(), (("given", desk.tensor()),))
        if started := dispatches(desk.tell(event)):
            assert started[0].executor == "e2"
            return
    pytest.fail("everybody waits for one executor")


class TestWaitingForRoom:
    """r-1 steps on the only executor; r-2 could join it at its next step."""

    def steps(self, desk: Desk, name: str) -> list[Action]:
        given = (("given", desk.tensor()),)
        return desk.tell(RequestArrived(request(name, steps=40), redraw(), given))

    def begin(self, desk: Desk) -> Dispatch:
        desk.tell(ExecutorJoined(ExecutorId("e1"), "cpu-1", 8 * MIB, can_step=True))
        [batch] = dispatches(self.steps(desk, "r-1"))
        return batch

    def test_nothing_joins_a_batch_whose_results_find_no_room(self, desk: Desk) -> None:
        batch = self.begin(desk)
        assert desk.tell(ExecutorWaiting(batch.executor, batch.batch, 4096)) == []
        assert kinds(self.steps(desk, "r-2")) == ["Accept"]
        assert any("waits for room for a result of 4096 bytes" in line for line in desk.control.story(RequestId("r-1")))
        assert dispatches(desk.done(batch))  # the report ends the wait, and the executor is used again

    def test_a_report_ends_the_wait(self, desk: Desk) -> None:
        batch = self.begin(desk)
        desk.tell(ExecutorWaiting(batch.executor, batch.batch, 4096))
        desk.tell(BatchReported(batch.executor, batch.batch, (), False, 0.01))
        assert kinds(self.steps(desk, "r-2")) == ["Accept", "Join"]

    def test_a_wait_of_another_batch_or_executor_is_nobodys(self, desk: Desk) -> None:
        batch = self.begin(desk)
        desk.tell(ExecutorWaiting(ExecutorId("e2"), batch.batch, 4096))
        desk.tell(ExecutorWaiting(batch.executor, BatchId(batch.batch + 1), 4096))
        assert kinds(self.steps(desk, "r-2")) == ["Accept", "Join"]


class TestEndings:
    def test_cancel_in_the_queue_is_immediate(self, desk: Desk) -> None:
        tensor = desk.tensor()
        desk.tell(RequestArrived(request("r-1"), redraw(), (("given", tensor),)))
        actions = desk.tell(CancelRequested(RequestId("r-1")))
        assert kinds(actions) == ["Release", "Finish"]
        assert finish(actions).outcome is Outcome.CANCELLED

    def test_cancel_while_running_stops_and_ends_with_the_task(self, desk: Desk) -> None:
        desk.join("e1")
        [encode] = dispatches(desk.tell(RequestArrived(request("r-1"), chain())))
        actions = desk.tell(CancelRequested(RequestId("r-1")))
        assert kinds(actions) == ["Stop"]
        actions = desk.done(encode)  # it was done before the stop reached it
        assert kinds(actions) == ["Release", "Finish"]
        assert finish(actions).outcome is Outcome.CANCELLED

    def test_cancel_and_then_the_executor_dies(self, desk: Desk) -> None:
        desk.join("e1")
        desk.tell(RequestArrived(request("r-1"), chain()))
        desk.tell(CancelRequested(RequestId("r-1")))
        assert finish(desk.lose("e1")).outcome is Outcome.CANCELLED

    def test_cancel_of_the_unknown_and_the_finished_is_ignored(self, desk: Desk) -> None:
        desk.tell(RequestArrived(request("r-1"), chain()))
        desk.tell(CancelRequested(RequestId("r-1")))
        assert desk.tell(CancelRequested(RequestId("r-1"))) == []
        assert desk.tell(CancelRequested(RequestId("r-9"))) == []

    def test_a_failing_branch_stops_the_other(self, desk: Desk) -> None:
        desk.join("e1")
        desk.join("e2")
        [encode] = dispatches(desk.tell(RequestArrived(request("r-1"), fork())))
        left, right = dispatches(desk.done(encode))
        [again] = dispatches(desk.done(left, "failed")) or dispatches(desk.tell(Woke(), after_s=1.0))
        actions = desk.done(again, "failed")
        assert [action.task_id for action in actions if isinstance(action, Stop)] == ["r-1/right"]
        assert finish(desk.done(right, "stopped")).error.endswith("failed: it broke")


class TestRetries:
    def test_tasks_of_a_lost_executor_run_again_with_their_inputs(self, desk: Desk) -> None:
        desk.join("e1")
        [encode] = dispatches(desk.tell(RequestArrived(request("r-1"), chain())))
        [denoise] = dispatches(desk.done(encode))
        assert desk.lose("e1") == []
        [again] = dispatches(desk.join("e2"))
        assert again.runs[0].task_id == "r-1/denoise" and again.runs[0].attempt == 2
        assert again.runs[0].args == denoise.runs[0].args

    def test_a_task_that_kills_every_executor_fails_in_the_end(self, desk: Desk) -> None:
        desk.tell(RequestArrived(request("r-1"), chain()))
        for life in range(1, LOST_ALONE):
            desk.join(f"e{life}")
            assert not any(isinstance(action, Finish) for action in desk.lose(f"e{life}"))
        desk.join("last")
        error = finish(desk.lose("last")).error
        assert "Task encode of request r-1 failed: it lost 5 executors" in error and "signal 9" in error

    def test_a_failed_batch_is_taken_apart(self, desk: Desk) -> None:
        """1. two encodes fail together  2. each runs alone  3. one fails again, and only its request fails."""
        desk.join("e1")
        [busy] = dispatches(desk.tell(RequestArrived(request("r-1"), chain())))
        for name in ("r-2", "r-3"):
            desk.tell(RequestArrived(request(name), chain()))
        batches = dispatches(desk.done(busy))
        while len(batches[0].runs) < 2:
            batches = dispatches(desk.done(batches[0]))
        [alone] = dispatches(desk.done(batches[0], "failed"))
        assert [run.task_id for run in alone.runs] == ["r-2/encode"] and alone.runs[0].attempt == 2
        actions = desk.done(alone, "failed")
        assert finish(actions).request_id == "r-2"
        assert [run.task_id for run in dispatches(actions)[0].runs] == ["r-3/encode"]

    def test_a_failure_alone_is_tried_on_another_executor(self, desk: Desk) -> None:
        desk.join("e1")
        desk.join("e2")
        [first] = dispatches(desk.tell(RequestArrived(request("r-1"), chain())))
        [second] = dispatches(desk.done(first, "failed"))
        assert second.executor != first.executor
        assert finish(desk.done(second, "failed")).outcome is Outcome.FAILED

    def test_a_failed_load_takes_the_replica_away(self, desk: Desk) -> None:
        desk.join("e1")
        [encode] = dispatches(desk.tell(RequestArrived(request("r-1"), chain())))
        desk.tell(LoadFailed(ExecutorId("e1"), ModelId("text"), "corrupt"))
        desk.join("e2")
        actions = desk.done(encode, "failed")
        assert [action.executor for action in actions if isinstance(action, Load)] == ["e2"]

    def test_a_batch_closed_without_all_its_tasks_counts_as_failed(self, desk: Desk) -> None:
        desk.join("e1")
        [encode] = dispatches(desk.tell(RequestArrived(request("r-1"), chain())))
        actions = desk.tell(BatchReported(encode.executor, encode.batch, (), True, 0.01))
        assert "ended batch 1 without reporting r-1/encode" in finish(actions).error


class TestLateAndRepeated:
    def test_a_report_after_the_loss_is_released_once(self, desk: Desk) -> None:
        """1. e1 reports and dies; the loss overtakes the report  2. the report arrives  3. and again."""
        desk.join("e1")
        [encode] = dispatches(desk.tell(RequestArrived(request("r-1"), chain())))
        late = desk.report(encode)
        desk.lose("e1")
        [release] = desk.tell(late)
        assert isinstance(release, Release) and release.handles == late.ends[0].outputs
        assert desk.tell(late) == []

    def test_a_repeated_report_changes_nothing(self, desk: Desk) -> None:
        desk.join("e1")
        [encode] = dispatches(desk.tell(RequestArrived(request("r-1"), chain())))
        report = desk.report(encode)
        desk.tell(report)
        assert desk.tell(report) == []

    def test_a_repeated_partial_report_changes_nothing(self, desk: Desk) -> None:
        """1. a batch of two reports one task, not its last  2. the report comes again while the other still runs."""
        desk.join("e1")
        [encode] = dispatches(desk.tell(RequestArrived(request("r-1"), fork(dits=("dit", "dit")))))
        [pair] = dispatches(desk.done(encode))
        both = desk.report(pair)
        half = BatchReported(pair.executor, pair.batch, both.ends[:1], False, 0.01)
        assert desk.tell(half) == []
        assert desk.tell(half) == []
        rest = BatchReported(pair.executor, pair.batch, both.ends[1:], True, 0.02)
        assert kinds(desk.tell(rest)) == ["Load", "Dispatch"]

    def test_the_last_report_overtakes_an_earlier_one(self, desk: Desk) -> None:
        """1. a batch of one is closed without its end  2. it runs again  3. the first report comes: not needed."""
        desk.join("e1")
        desk.join("e2")
        [encode] = dispatches(desk.tell(RequestArrived(request("r-1"), chain())))
        early = desk.report(encode, is_last=False)
        [again] = dispatches(desk.tell(BatchReported(encode.executor, encode.batch, (), True, 0.01)))
        assert kinds(desk.tell(early)) == ["Release"]
        assert not any(isinstance(action, Release) for action in desk.done(again))

    def test_a_repeated_arrival_keeps_its_tensors(self, desk: Desk) -> None:
        event = RequestArrived(request("r-1"), redraw(), (("given", desk.tensor()),))
        assert kinds(desk.tell(event)) == ["Accept"]
        assert desk.tell(event) == []
        desk.tell(CancelRequested(RequestId("r-1")))
        assert desk.tell(event) == []

    def test_a_lost_executor_does_not_join_again(self, desk: Desk) -> None:
        desk.join("e1")
        desk.lose("e1")
        desk.join("e1")
        assert not desk.control.state.executors


def test_a_refused_request_gives_its_tensors_back(desk: Desk) -> None:
    desk.join("e1")
    tensor = desk.tensor()
    actions = desk.tell(RequestArrived(request("r-1", deadline_s=0.001), redraw(), (("given", tensor),)))
    assert kinds(actions) == ["Release", "Finish"]
    assert finish(actions).outcome is Outcome.REJECTED


def test_every_accept_comes_before_a_dispatch(desk: Desk) -> None:
    desk.join("e1")
    actions = desk.tell(RequestArrived(request("r-1"), chain()))
    assert isinstance(actions[0], Accept)


def test_measured_times_correct_predictions(desk: Desk) -> None:
    """Encodes take 10 ms where the profile says 1 ms: the next request's predicted finish is 9 ms later."""
    desk.join("e1")
    before = desk.tell(RequestArrived(request("r-1"), chain()))
    [encode] = dispatches(before)
    desk.tell(ModelLoaded(ExecutorId("e1"), ModelId("text"), 0.05))
    desk.done(encode)
    assert desk.control.state.correction.factor("cpu-1", "toy.text/toy.encode").value == pytest.approx(10.0)
