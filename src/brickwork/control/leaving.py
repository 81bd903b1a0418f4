"""Executors that go: which ones, and when.

Those that are idle and hold what is worth least go at once. Of busy ones those that are done first: they end their
batches, which nobody joins any more, and are forgotten in the event that says so, before anything else is started on
them. An executor that dies meanwhile is lost like any other.
"""

from brickwork.control.actions import Leave
from brickwork.control.events import LeaveRequested
from brickwork.control.records import ExecutorRecord
from brickwork.control.turn import Turn
from brickwork.control.worth import worth_on


def ask_to_leave(turn: Turn, event: LeaveRequested) -> None:
    """Choose executors and order them to leave."""
    staying = [each for each in turn.state.executors.values() if each.device == event.device and not each.is_leaving]
    for executor in sorted(staying, key=lambda each: _loss(turn, each))[: event.count]:
        executor.is_leaving = True
        turn.state.leaving[executor.id] = None
        turn.order(Leave(executor.id, turn.why("the fleet wants it back")))
        if executor.batch is not None:
            turn.state.close_roster(turn.state.batches[executor.batch])
        turn.state.ready.unpark_for(executor.id, ())  # who waits for it has to wait for another one


def forget_idle(turn: Turn) -> None:
    """Those that were told to leave and are done are no executors of control's any more."""
    for executor_id in list(turn.state.leaving):
        executor = turn.state.executors[executor_id]
        if executor.batch is None:
            models = tuple(executor.replicas)
            turn.state.remove_executor(executor)
            turn.state.ready.unpark_for(executor_id, models)


def _loss(turn: Turn, executor: ExecutorRecord) -> tuple[bool, float, float, str]:
    """What it would cost to do without an executor, as a sorting key."""
    is_busy = executor.batch is not None
    worth = 0.0 if is_busy else sum([worth_on(turn, executor, model) for model in executor.replicas], 0.0)
    return (is_busy, executor.free_at_s if is_busy else 0.0, worth, executor.id)
