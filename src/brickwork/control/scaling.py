"""Loads models ahead of need, where they are worth more than what is there.

Once a second, with whatever event comes then. The models that lead their programs (`worth.py`) are looked at, those
that are worth most for their size first, and each is loaded on the idle executor where least is lost for it. The models
that go with them follow when a batch needs them: they are small. Nothing leaves because it is worth little, only
because something else is worth more there; what nobody has asked for in KEEP_S goes from everywhere.
"""

from dataclasses import dataclass

from brickwork.control.autoscaling import KEEP_S, MIN_GAIN
from brickwork.control.loads import load_early, unload
from brickwork.control.memory import residents
from brickwork.control.popularity import Popularity
from brickwork.control.records import ExecutorRecord, RequestRecord
from brickwork.control.turn import Turn
from brickwork.control.worth import worth
from brickwork.core.ids import ModelId, RequestId
from brickwork.core.model import ModelSpec

EVERY_S = 1.0
"""Seconds between two looks: a load takes about as long."""

MAX_LOADS = 4
"""Loads that are ordered in one look, so that a burst does not fill every idle device with one model."""

MAX_TRIED = 16
"""Models for which a place is looked for in one look."""

MAX_LOOKED_AT = 8
"""Idle executors that are looked at for a load, those with most free memory first."""

MIN_SLACK_S = 1e-3
"""Who has no time to wait is taken for one who can wait so long."""


@dataclass(frozen=True, slots=True)
class Place:
    """An executor for a model that is loaded ahead, and what it costs there."""

    executor: ExecutorRecord
    model: ModelSpec
    leaving: tuple[ModelId, ...]
    lost: float  # requests per second that would be lost without what leaves

    def load(self, turn: Turn, reason: str, *about: RequestId) -> None:
        """Order it. Who waits for the model is told when it is loaded."""
        executor, cause = self.executor, turn.why(reason)
        unload(turn, executor, self.leaving, cause, *about)
        load_early(turn, executor, self.model, cause, *about)


def note(turn: Turn, request: RequestRecord) -> None:
    """A request was accepted: its tasks ask for device seconds of their models."""
    window_s = request.due_s - turn.now_s
    slack_s = max(MIN_SLACK_S, window_s - request.path_s)
    for task in request.tasks.values():
        for model in task.needs.models:
            leader = task.needs.heaviest[0]
            popularity = turn.state.popularity.setdefault(model.id, Popularity(model, leader))
            popularity.leader = leader
            popularity.leads |= leader == model.id
            risk = min(1.0, turn.estimate.load_s(turn.device, model) / slack_s)
            popularity.note(turn.now_s, task.share_s, window_s, risk)


def scale(turn: Turn) -> None:
    """Look at what could be loaded, if it is time."""
    state = turn.state
    if turn.now_s < state.next_scaling_s:
        return
    state.next_scaling_s = turn.now_s + EVERY_S
    wanted: list[tuple[float, ModelId]] = []
    for model_id, popularity in list(state.popularity.items()):
        popularity.look(turn.now_s)
        replicas = state.replicas(model_id)
        if turn.now_s - popularity.used_s >= KEEP_S:
            _retire(turn, popularity)
        elif popularity.leads and replicas < len(state.executors):
            gain = worth(turn, model_id, replicas + 1)
            wanted.append((-gain / max(1, popularity.model.weight_bytes), model_id))
    loads = 0
    for per_byte, model_id in sorted(wanted)[:MAX_TRIED]:
        if per_byte < 0.0 and loads < MAX_LOADS:
            loads += _add_replica(turn, state.popularity[model_id].model)


def _add_replica(turn: Turn, model: ModelSpec) -> bool:
    """Load the model where least is lost for it, if it is worth that. False when there is no such place."""
    replicas = turn.state.replicas(model.id)
    best = least_lost(turn, model)
    if best is None or worth(turn, model.id, replicas + 1) < MIN_GAIN * best.lost:
        return False
    best.load(turn, f"replica {replicas + 1} is worth the room")
    return True


def least_lost(turn: Turn, model: ModelSpec) -> "Place | None":
    """The idle executor on which least is lost for one more replica; None when no place is free for it."""
    state = turn.state
    idle = [state.executors[executor_id] for executor_id in state.idle_by_free.first(MAX_LOOKED_AT)]
    places = [place for executor in idle if (place := _place(turn, executor, model))]
    return min(places, key=lambda place: place.lost, default=None)


def _place(turn: Turn, executor: ExecutorRecord, model: ModelSpec) -> Place | None:
    """The executor as a place for one more replica; None when it has one, has no room, or loads something already."""
    is_loading = executor.loading_until_s > turn.now_s
    if model.id in executor.replicas or model.weight_bytes > executor.memory_bytes or is_loading:
        return None
    missing_bytes = model.weight_bytes - executor.free_bytes
    if missing_bytes <= 0:
        return Place(executor, model, (), 0.0)
    spare = [resident for resident in residents(turn, executor, ()) if resident.needed_s is None]
    leaving = turn.policies.unload(spare, missing_bytes)
    if leaving is None:
        return None
    return Place(
        executor, model, leaving, sum([resident.worth for resident in spare if resident.model in leaving], 0.0)
    )


def _retire(turn: Turn, popularity: Popularity) -> None:
    """Nobody has wanted the model for long: unload it where that is possible now."""
    state, model = turn.state, popularity.model.id
    record = state.models.get(model)
    if record is None:
        del state.popularity[model]
    elif record.demand == 0:
        for executor_id in record.idle_holders.first(MAX_LOADS):
            unload(turn, state.executors[executor_id], (model,), turn.why("nobody has asked for it for long"))
