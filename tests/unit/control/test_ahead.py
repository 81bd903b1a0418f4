"""Goal: the models of the group that goes next are ordered while the executor works, and never at somebody's cost.

Method: one executor, requests for models that fit two or three at a time; the orders of each event.
"""

from collections.abc import Sequence

from brickwork.control.actions import Action, Dispatch, Load, Unload
from brickwork.control.events import (
    BatchReported,
    CancelRequested,
    ExecutorJoined,
    LoadFailed,
    ModelLoaded,
    RequestArrived,
)
from brickwork.control.machine import Control
from brickwork.core.batch import TaskEnd
from brickwork.core.ids import ExecutorId, ModelId, RequestId
from support.plans import MIB, chain, handle, profile, request

E1 = ExecutorId("e1")


class Desk:
    """One executor; every model has 1 MiB, and so have activations next to nothing."""

    def __init__(self, room_mib: float):
        self.control = Control(profile())
        self.now_s = 0.0
        self.blocks = 0
        self.tell(ExecutorJoined(E1, "cpu-1", int(room_mib * MIB)))

    def tell(self, event: object) -> list[Action]:
        self.now_s += 0.001
        actions = self.control.handle(event, self.now_s)  # type: ignore[arg-type]
        self.control.state.check()
        return actions

    def ask(self, name: str, kind: str) -> list[Action]:
        """A request whose three models are `kind`'s own."""
        plan = chain(kind, f"{kind}-text", f"{kind}-dit", f"{kind}-vae")
        return self.tell(RequestArrived(request(name), plan))

    def loaded(self, *models: str) -> list[Action]:
        return [action for model in models for action in self.tell(ModelLoaded(E1, ModelId(model), 0.01))]

    def done(self, batch: Dispatch) -> list[Action]:
        self.blocks += 1
        ends = tuple(TaskEnd(run.task_id, run.attempt, "done", (handle(self.blocks),)) for run in batch.runs)
        return self.tell(BatchReported(batch.executor, batch.batch, ends, True, 0.01))


def orders(actions: Sequence[Action]) -> list[str]:
    """Loads, unloads and dispatches in words."""
    words = []
    for action in actions:
        match action:
            case Load():
                words.append(f"load {action.model.id}")
            case Unload():
                words.append(f"unload {action.model}")
            case Dispatch():
                words.append(f"run {action.runs[0].task_id}")
    return words


def dispatch(actions: Sequence[Action]) -> Dispatch:
    [found] = [action for action in actions if isinstance(action, Dispatch)]
    return found


def test_a_group_that_waits_has_its_model_loaded_meanwhile() -> None:
    desk = Desk(room_mib=3.5)
    first = dispatch(desk.ask("r-1", "a"))
    assert orders(desk.ask("r-2", "b")) == [], "one load at a time: the running batch still waits for its own"
    assert orders(desk.loaded("a-text")) == ["load b-text"], "there is room, and the executor works"
    assert orders(desk.loaded("b-text")) == []
    assert orders(desk.done(first))[0] in ("load a-dit", "run r-2/encode")


def test_room_is_made_by_what_nobody_waits_for_but_not_by_the_running_batch() -> None:
    desk = Desk(room_mib=2.5)
    batch = dispatch(desk.ask("r-1", "a"))
    desk.loaded("a-text")
    batch = dispatch(desk.done(batch))  # a-dit is loaded beside a-text
    desk.loaded("a-dit")
    assert orders(desk.ask("r-2", "b")) == ["unload a-text", "load b-text"]

    tight = Desk(room_mib=1.5)
    batch = dispatch(tight.ask("r-1", "a"))
    tight.loaded("a-text")
    assert orders(tight.ask("r-2", "b")) == [], "only the running batch's model could go"
    assert orders(tight.done(batch))[:1] == ["unload a-text"]


def test_what_a_more_urgent_task_waits_for_stays() -> None:
    """b-text is loaded ahead for r-2; c-text has to wait although c's group is the only one that lacks a model."""
    desk = Desk(room_mib=2.5)
    desk.ask("r-1", "a")
    desk.loaded("a-text")
    assert orders(desk.ask("r-2", "b")) == ["load b-text"]
    assert orders(desk.loaded("b-text")) == []
    assert orders(desk.ask("r-3", "c")) == []


def test_a_load_ahead_that_fails_does_not_touch_the_running_batch() -> None:
    desk = Desk(room_mib=3.5)
    batch = dispatch(desk.ask("r-1", "a"))
    desk.loaded("a-text")
    assert orders(desk.ask("r-2", "b")) == ["load b-text"]
    before = desk.control.state.batches[batch.batch]
    assert orders(desk.tell(LoadFailed(E1, ModelId("b-text"), "it is broken"))) == [], "not again and again"
    assert not before.is_ending and not before.lacks
    assert dispatch(desk.done(batch))


def test_a_batch_does_not_wait_for_a_load_that_it_does_not_need() -> None:
    """The one who was loaded for is cancelled while the load goes on: the executor takes what it has."""
    desk = Desk(room_mib=3.5)
    batch = dispatch(desk.ask("r-1", "a"))
    desk.loaded("a-text")
    assert orders(desk.ask("r-2", "b")) == ["load b-text"]
    desk.tell(CancelRequested(RequestId("r-2")))
    desk.ask("r-3", "a")
    ordered = orders(desk.done(batch))
    assert "run r-3/encode" in ordered or "run r-1/denoise" in ordered
    [running] = desk.control.state.batches.values()
    executor = desk.control.state.executors[E1]
    assert not executor.replicas[ModelId("b-text")].is_loaded and running.executor == E1


def test_who_comes_after_the_next_is_loaded_for_too() -> None:
    desk = Desk(room_mib=3.5)
    desk.ask("r-1", "a")
    desk.loaded("a-text")
    assert orders(desk.ask("r-2", "b")) == ["load b-text"]
    assert orders(desk.ask("r-3", "c")) == [], "one at a time"
    assert orders(desk.loaded("b-text")) == ["load c-text"]
