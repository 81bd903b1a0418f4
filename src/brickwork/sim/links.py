"""Simulated links between the coordinator and each slot: a delay, order, and what goes wrong with messages."""

from collections.abc import Callable
from random import Random
from typing import TypeVarTuple

from brickwork.sim.faults import BadMessages, Partition
from brickwork.sim.loop import Loop

LINK_S = 2e-4
"""One way on a Unix socket with both processes awake: 0.1 to 0.3 ms measured for framed messages in Python."""

Ts = TypeVarTuple("Ts")


class Links:
    """Delivers calls after the link's delay, per slot and direction in the order in which they were sent."""

    def __init__(self, loop: Loop, one_way_s: float, seed: int):
        self._loop = loop
        self._one_way_s = one_way_s
        self._random = Random(f"links {seed}")
        self._bad: list[BadMessages] = []
        self._partitions: list[Partition] = []
        self._latest_s: dict[tuple[str, str], float] = {}

    def suffer(self, fault: BadMessages | Partition) -> None:
        if isinstance(fault, Partition):
            self._partitions.append(fault)
        else:
            self._bad.append(fault)

    def to_slot(self, slot: str, call: Callable[[*Ts], None], *args: *Ts) -> None:
        """Carry an order to the executor in `slot`."""
        self._loop.after(self._delay_s(slot, "to"), call, *args)

    def to_control(self, slot: str, call: Callable[[*Ts], None], *args: *Ts) -> None:
        """Carry an event from the executor in `slot`; it may arrive twice."""
        self._loop.after(self._delay_s(slot, "from"), call, *args)
        if self._bad and any(self._random.random() < bad.repeated for bad in self._bad):
            self._loop.after(self._delay_s(slot, "from"), call, *args)

    def _delay_s(self, slot: str, direction: str) -> float:
        if not self._bad and not self._partitions:
            return self._one_way_s
        now_s = self._loop.now_s
        due_s = now_s + self._one_way_s
        for bad in self._bad:
            while self._random.random() < min(bad.lost, 0.99):
                due_s += bad.resend_s
            if self._random.random() < bad.late:
                due_s += bad.late_s
        for cut in self._partitions:
            if slot in cut.slots and cut.time_s <= due_s < cut.time_s + cut.for_s:
                due_s = cut.time_s + cut.for_s
        due_s = self._latest_s[slot, direction] = max(due_s, self._latest_s.get((slot, direction), 0.0))
        return due_s - now_s
