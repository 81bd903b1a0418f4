"""Brings the replicas of each model towards the number that the autoscaling policy wants, ahead of need.

Once a second, with whatever event comes then: demand is a moving average of the device seconds that accepted requests
ask of a model. What is missing is loaded on idle executors that have room, the most wanted model first and a few loads
at a time; room is made by surplus replicas only. Replicas above the target stay where they are while nobody needs the
room: unloading early gains nothing. What is wanted nowhere goes.
"""

from brickwork.control.actions import Load, Unload
from brickwork.control.autoscaling import KEEP_S, ModelLoad
from brickwork.control.popularity import MEMORY_S, Popularity
from brickwork.control.records import ExecutorRecord, RequestRecord
from brickwork.control.residency import Resident
from brickwork.control.turn import Turn
from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec

EVERY_S = 1.0
"""Seconds between two looks at the targets: a load takes about as long."""

MAX_LOADS = 4
"""Loads that are ordered in one look, so that a burst does not fill every idle device with one model."""

MAX_LOOKED_AT = 8
"""Idle executors that are looked at for a load, those with most free memory first."""


def note(turn: Turn, request: RequestRecord) -> None:
    """A request was accepted: its tasks ask for device seconds of their models."""
    for task in request.tasks.values():
        for model in task.needs.models:
            popularity = turn.state.popularity.setdefault(model.id, Popularity(model))
            popularity.fade(turn.now_s)
            popularity.asked_s += task.share_s
            popularity.used_s = turn.now_s


def scale(turn: Turn) -> None:
    """Look at the targets, if it is time."""
    state = turn.state
    if turn.now_s < state.next_scaling_s:
        return
    state.next_scaling_s = turn.now_s + EVERY_S
    backlogs_s = _backlogs_s(turn)
    wanted: list[tuple[float, ModelId]] = []
    for model_id, popularity in list(state.popularity.items()):
        popularity.fade(turn.now_s)
        load = _load_of(turn, popularity, backlogs_s.get(model_id, 0.0))
        before, popularity.target = popularity.target, turn.policies.replicas(load)
        if popularity.target >= before:
            popularity.high_s = turn.now_s
        missing = popularity.target - state.replicas(model_id)
        if missing > 0:
            wanted.append((-missing * (load.rate + load.backlog_s), model_id))
        elif popularity.target == 0 and load.backlog_s == 0.0 and load.unused_s >= KEEP_S:
            _retire(turn, popularity)
    for _, model_id in sorted(wanted)[:MAX_LOADS]:
        _add_replica(turn, state.popularity[model_id].model)


def _load_of(turn: Turn, popularity: Popularity, backlog_s: float) -> ModelLoad:
    return ModelLoad(
        rate=popularity.asked_s / MEMORY_S,
        backlog_s=backlog_s,
        target=popularity.target,
        lower_for_s=turn.now_s - popularity.high_s,
        unused_s=turn.now_s - popularity.used_s,
        max_replicas=len(turn.state.executors),
    )


def _backlogs_s(turn: Turn) -> dict[ModelId, float]:
    """Device seconds of ready tasks by model."""
    backlogs_s: dict[ModelId, float] = {}
    for group in turn.state.ready.groups.values():
        work_s = group.size * turn.state.ready.head(group).share_s
        for model in group.models:
            backlogs_s[model] = backlogs_s.get(model, 0.0) + work_s
    return backlogs_s


def _add_replica(turn: Turn, model: ModelSpec) -> None:
    """Load the model on an idle executor that has room, or gets it by unloading what is surplus."""
    state = turn.state
    for _, executor_id in state.idle_by_free.first(MAX_LOOKED_AT):
        executor = state.executors[executor_id]
        if model.id in executor.replicas or model.weight_bytes > executor.memory_bytes:
            continue
        missing_bytes = model.weight_bytes - executor.free_bytes
        leaving = turn.policies.unload(_surplus(turn, executor), missing_bytes) if missing_bytes > 0 else ()
        if leaving is None:
            continue
        cause = turn.why(
            f"{state.popularity[model.id].target} replicas are wanted, {state.replicas(model.id)} are there"
        )
        for other in leaving:
            turn.order(Unload(executor.id, other, cause))
            state.remove_replica(executor, other)
        load_s = turn.estimate.load_s(executor.device, model)
        executor.loading_until_s = max(executor.loading_until_s, turn.now_s) + load_s
        turn.order(Load(executor.id, model, cause))
        return state.add_replica(executor, model, turn.now_s)  # who waits for the model is told when it is loaded


def _surplus(turn: Turn, executor: ExecutorRecord) -> list[Resident]:
    """Models of an idle executor of which there are more replicas than wanted."""
    found = []
    for model_id, replica in executor.replicas.items():
        record, popularity = turn.state.models[model_id], turn.state.popularity.get(model_id)
        if record.replicas > max(1 if record.demand else 0, popularity.target if popularity else 0):
            found.append(Resident(model_id, replica.model.weight_bytes, replica.used_s, record.demand, record.replicas))
    return found


def _retire(turn: Turn, popularity: Popularity) -> None:
    """Nobody has wanted the model for long: unload it where that is possible now."""
    state, model = turn.state, popularity.model.id
    record = state.models.get(model)
    if record is None:
        del state.popularity[model]
    elif record.demand == 0:
        for (executor_id,) in record.idle_holders.first(MAX_LOADS):
            turn.order(Unload(executor_id, model, turn.why("nobody has asked for it for long")))
            state.remove_replica(state.executors[executor_id], model)
