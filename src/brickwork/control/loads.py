"""Orders to load and unload models, each with its entry in the books: a replica counts from the order to load it until
the order to unload it.
"""

from collections.abc import Iterable

from brickwork.control.actions import Load, Unload
from brickwork.control.records import ExecutorRecord
from brickwork.control.turn import Turn
from brickwork.core.ids import ModelId, RequestId
from brickwork.core.model import ModelSpec


def load(turn: Turn, executor: ExecutorRecord, model: ModelSpec, cause: str, *about: RequestId) -> None:
    """Load a model that is not there, on an executor that has room for it."""
    turn.order(Load(executor.id, model, cause), *about)
    turn.state.add_replica(executor, model, turn.now_s)


def load_early(turn: Turn, executor: ExecutorRecord, model: ModelSpec, cause: str, *about: RequestId) -> None:
    """The same before a batch needs it: who lacks something there waits until it is loaded."""
    load_s = turn.estimate.load_s(executor.device, model)
    executor.loading_until_s = max(executor.loading_until_s, turn.now_s) + load_s
    load(turn, executor, model, cause, *about)


def unload(turn: Turn, executor: ExecutorRecord, models: Iterable[ModelId], cause: str, *about: RequestId) -> None:
    for model in models:
        turn.order(Unload(executor.id, model, cause), *about)
        turn.state.remove_replica(executor, model)
