"""Loads the models of groups that go next on a busy executor, while the executor works.

Executors load beside what they run, so the load costs nobody anything while there is room. When there is none, the
policy says what has to leave, as it would once the executor is idle; when it names what the running batch needs, or
what a task needs that comes before this group, the group waits. So looking ahead costs no load that waiting would not.
One group is loaded for at a time; who comes after it is looked at when its models are there. Further replicas of what
is somewhere are the autoscaler's.

    executor   [ batch 1 on A ............... ][ batch 2 on B ...
    loads           [ unload D, load B ]            [ unload A, load C ]
"""

from brickwork.control.candidates import spots
from brickwork.control.loads import load_early, unload
from brickwork.control.memory import residents
from brickwork.control.records import ExecutorRecord, TaskRecord
from brickwork.control.turn import Turn
from brickwork.core.ids import ExecutorId, ModelId

MAX_LOOKED_AT = 4
"""Groups, the most urgent first, among which one is looked for that lacks a model: a load takes a few batches' time."""


def look_ahead(turn: Turn) -> None:
    """All executors are busy, and a batch or a load has just changed what they are free for: see who is next."""
    state = turn.state
    for group in state.ready.foremost(MAX_LOOKED_AT) if turn.looks_ahead else ():
        if all(state.replicas(model) for model in group.models):
            continue
        head = state.ready.head(group)
        if (chosen := turn.policies.place(spots(turn, group, head))) is not None:
            load_ahead(turn, head, chosen.executor)
        return


def load_ahead(turn: Turn, head: TaskRecord, executor_id: ExecutorId) -> bool:
    """Order what the group of `head` lacks on the busy executor that it waits for, if it has room beside its batch.

    returns    whether models of the group are on their way there
    """
    executor = turn.state.executors[executor_id]
    lacking = [model for model in head.needs.models if model.id not in executor.replicas]
    loading = {model for model, replica in executor.replicas.items() if not replica.is_loaded}
    if not lacking or loading:
        return not loading.isdisjoint(head.program.models)
    missing_bytes = sum(model.weight_bytes for model in lacking) - executor.free_bytes
    leaving: tuple[ModelId, ...] | None = ()
    if missing_bytes > 0:
        leaving = turn.policies.unload(residents(turn, executor, head.program.models), missing_bytes)
    if leaving is None or not all(_can_leave(turn, model, head, executor) for model in leaving):
        return False
    reason = turn.why(f"{head.id} goes next on {executor.id}")
    unload(turn, executor, leaving, reason, head.request.id)
    for spec in lacking:
        load_early(turn, executor, spec, reason, head.request.id)
    return True


def _can_leave(turn: Turn, model: ModelId, head: TaskRecord, executor: ExecutorRecord) -> bool:
    """Neither the executor's batch needs the model, nor a task that goes before `head`."""
    assert executor.batch is not None
    queued = turn.state.models[model].queued.first(1)
    return model not in turn.state.batches[executor.batch].group_models and (not queued or queued[0] > head.rank)
