"""Orders in two lanes that go on side by side: what computes, and what changes which models are resident.

    orders     Load A   Run 1 (A)   Load B   Unload A   Run 2 (B)
    memory     [load A] [load B]            [unload A]                an Unload waits for runs before it that need it
    compute             [run 1 ............]          [run 2 .....]   a Run waits for loads before it that it needs

So models are loaded while the device works, and yet all is as if orders were carried out one after the other. An order
waits only for orders that came before it, so no two ever wait for each other.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Event
from typing import Generic, TypeVar

from brickwork.core.ids import ModelId

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Ticket(Generic[T]):
    """An order in its lane. Whoever takes it waits for `after`, carries it out, and then sets `done`."""

    order: T
    after: tuple[Event, ...] = ()
    done: Event = field(default_factory=Event)

    def wait(self) -> T:
        """The order, once what it has to wait for is over, well or badly."""
        for event in self.after:
            event.wait()
        return self.order


class Lanes(Generic[T]):
    """Filled by one thread in the order in which orders arrive; each lane is emptied by one thread."""

    def __init__(self) -> None:
        self.compute: SimpleQueue[Ticket[T]] = SimpleQueue()
        self.memory: SimpleQueue[Ticket[T]] = SimpleQueue()
        self._loads: dict[ModelId, Event] = {}  # the last load of each model
        self._runs: dict[ModelId, Event] = {}  # the last run that needs each model

    def load(self, order: T, model: ModelId) -> None:
        ticket = Ticket(order)
        self._loads[model] = ticket.done
        self.memory.put(ticket)

    def unload(self, order: T, model: ModelId) -> None:
        self.memory.put(Ticket(order, tuple(self._of([model], self._runs))))

    def run(self, order: T, models: Iterable[ModelId]) -> None:
        """models    all that the order needs"""
        needed = list(models)
        ticket = Ticket(order, tuple(self._of(needed, self._loads)))
        self._runs |= dict.fromkeys(needed, ticket.done)
        self.compute.put(ticket)

    def _of(self, models: Iterable[ModelId], events: dict[ModelId, Event]) -> list[Event]:
        return [events[model] for model in models if model in events]
