"""The lossless inbox in plain Python, in one process: for reading, and for tests of every interleaving.

Each operation is a generator that yields before each access to shared memory, with the name of that access. Whoever
drives the generators decides who goes next; one that is dropped halfway is a process that died there, one that is left
alone is a process that was stopped. The decisions are those of native/lossless_*.cpp, in the same order.

    slot ring          [ READY lap 1 | SKIPPED lap 1 | FREE lap 1 | FREE lap 1 ]      changed only by `swap`
                            |             head: 4 ^                 tail: 6 ^
    lane of life 7     [ header | bytes | bytes | header | ...  ]                     written only by life 7

It knows no clock: `patience` counts how often the consumer finds the same silence before it gives a slot up.
"""

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar
from zlib import crc32

UNIT_BYTES = 64
T = TypeVar("T")
Steps = Generator[str, None, T]


class Slot(NamedTuple):
    lap: int
    state: str = "free"
    lane: int = 0
    unit: int = 0


class Header(NamedTuple):
    life: int
    ticket: int
    sequence: int
    position: int
    length: int
    kind: int
    checksum: int


class Message(NamedTuple):
    number: int
    life: int
    sequence: int
    kind: int
    redelivered: bool
    payload: bytes


def checksum_of(life: int, ticket: int, sequence: int, position: int, payload: bytes) -> int:
    return crc32(repr((life, ticket, sequence, position)).encode() + payload)


def units_of(nbytes: int) -> int:
    """Units of a record: its header and its payload."""
    return 1 + -(-nbytes // UNIT_BYTES)


@dataclass
class Lane:
    """One life's data ring, in units; a unit holds a Header or up to 64 bytes of a payload."""

    units: list[Header | bytes]
    life: int = 0
    consumed: int = 0  # units below are free again
    acknowledged: int = 0


@dataclass
class Memory:
    """All that is shared. It outlives every producer and consumer."""

    slots: list[Slot]
    lanes: list[Lane]
    tail: int = 0
    head: int = 0
    lives: int = 0
    epoch: int = 0
    living: set[int] = field(default_factory=set)  # what the kernel's locks tell of the real one

    @classmethod
    def create(cls, slots: int = 8, lanes: int = 4, lane_units: int = 16) -> "Memory":
        return cls([Slot(0)] * slots, [Lane([b""] * lane_units) for _ in range(lanes)])

    def lap(self, ticket: int) -> int:
        return ticket // len(self.slots)

    def swap(self, ticket: int, expected: Slot, desired: Slot) -> Slot:
        """Compare-and-swap of the ticket's slot; returns it as it was."""
        found = self.slots[ticket % len(self.slots)]
        if found == expected:
            self.slots[ticket % len(self.slots)] = desired
        return found

    def join(self) -> "TwinProducer | None":
        """A new life in a free lane, or None."""
        for index, lane in enumerate(self.lanes):
            if lane.life == 0:
                self.lives += 1
                lane.life = self.lives
                self.living.add(self.lives)
                return TwinProducer(self, index, self.lives)
        return None


class TwinProducer:
    def __init__(self, memory: Memory, lane: int, life: int):
        self._memory = memory
        self._lane = memory.lanes[lane]
        self._index = lane
        self.life = life
        self._ticket: int | None = None
        self._written = 0
        self.appended = 0
        self.skipped = 0

    def append(self, payload: bytes, kind: int = 0) -> Steps[bool]:
        """Returns True when the record is committed, False when there was no credit. May be dropped at any step."""
        position = yield from self._room_for(units_of(len(payload)))
        while position is not None:
            if self._ticket is None and not (yield from self._take_ticket()):
                return False
            assert self._ticket is not None
            yield from self._put(self._ticket, position, payload, kind)
            lap = self._memory.lap(self._ticket)
            ready = Slot(lap, "ready", self._index, position % len(self._lane.units))
            yield "commit"
            found = self._memory.swap(self._ticket, Slot(lap), ready)
            if found == Slot(lap):
                self._ticket = None
                self._written = position + units_of(len(payload))
                self.appended += 1
                return True
            if found.lap < lap:
                return False  # the slot's last record is not yet acknowledged; the ticket stays ours
            self._ticket = None
            self.skipped += 1
        return False

    def _room_for(self, units: int) -> Steps[int | None]:
        size = len(self._lane.units)
        to_end = size - self._written % size
        start = self._written if units <= to_end else self._written + to_end
        yield "read consumed"
        consumed = self._lane.consumed
        fits = consumed == self._written or start + units - consumed <= size
        return start if fits else None

    def _take_ticket(self) -> Steps[bool]:
        yield "read tail and head"
        if self._memory.tail - self._memory.head >= len(self._memory.slots):
            return False
        yield "take ticket"
        self._ticket = self._memory.tail
        self._memory.tail += 1
        return True

    def _put(self, ticket: int, position: int, payload: bytes, kind: int) -> Steps[None]:
        checksum = checksum_of(self.life, ticket, self.appended, position, payload)
        start = position % len(self._lane.units)
        yield "put header"
        self._lane.units[start] = Header(self.life, ticket, self.appended, position, len(payload), kind, checksum)
        for unit in range(1, units_of(len(payload))):
            yield "put bytes"
            self._lane.units[start + unit] = payload[(unit - 1) * UNIT_BYTES : unit * UNIT_BYTES]

    def acknowledged(self) -> int:
        return self._lane.acknowledged

    def die(self) -> None:
        """Its death is proven from now on. Drop its generators first."""
        self._memory.living.discard(self.life)


class _Passed(NamedTuple):
    """A ticket that the consumer has passed and not yet freed; without a header: skipped, or unreadable."""

    lane: int = 0
    header: Header | None = None
    acknowledged: bool = True


class TwinConsumer:
    """Make it with `start`, which finishes what an earlier life left half done."""

    def __init__(self, memory: Memory, patience: int = 0):
        self._memory = memory
        self.patience = patience
        self._silences = 0
        self._cursor = self._first_fresh = 0
        self._next: dict[int, int] = {}
        self._passed: deque[_Passed] = deque()
        self._acknowledged_below = 0
        self._drained_at: dict[int, int] = {}
        self.skipped = self.damaged = self.duplicates = self.recycled = 0

    def start(self) -> Steps[None]:
        yield "read head and tail"
        memory = self._memory
        self._cursor = self._acknowledged_below = memory.head
        self._first_fresh = memory.tail
        memory.epoch += 1
        if self._cursor == 0:
            return
        ticket = self._cursor - 1
        yield "read last slot"
        slot = memory.slots[ticket % len(memory.slots)]
        if slot.lap == memory.lap(ticket) and slot.state != "free":
            header = self._header_of(slot, ticket) if slot.state == "ready" else None
            if header and memory.lanes[slot.lane].consumed >= header.position + units_of(header.length):
                header = None
            yield from self._finish(ticket, _Passed(slot.lane, header))

    def receive(self) -> Steps[Message | None]:
        """The next record; None when there is none, or a slot is silent and patience is left."""
        memory = self._memory
        while True:
            yield "read slot"
            slot = memory.slots[self._cursor % len(memory.slots)]
            if slot.lap != memory.lap(self._cursor):
                return None
            if slot.state == "free":
                yield "read tail"
                if memory.tail <= self._cursor or self._silences < self.patience:
                    self._silences += memory.tail > self._cursor
                    return None
                yield "skip"
                if memory.swap(self._cursor, slot, slot._replace(state="skipped")) == slot:
                    self.skipped += 1
                continue
            self._silences = 0
            message = self._open(slot) if slot.state == "ready" else None
            if slot.state == "skipped":
                self._pass(_Passed())
            yield from self._free_passed()
            if message:
                return message

    def _open(self, slot: Slot) -> Message | None:
        header = self._header_of(slot, self._cursor)
        if not header:
            self.damaged += 1
            self._pass(_Passed())
            return None
        number, expected = self._cursor, self._next.get(slot.lane, self._memory.lanes[slot.lane].acknowledged)
        seen_before = header.sequence < expected
        self._next[slot.lane] = max(expected, header.sequence + 1)
        self._pass(_Passed(slot.lane, header, acknowledged=seen_before))
        if seen_before:
            self.duplicates += 1
            return None
        payload = self._payload_of(slot, header)
        return Message(number, header.life, header.sequence, header.kind, number < self._first_fresh, payload)

    def _pass(self, passed: _Passed) -> None:
        self._passed.append(passed)
        self._cursor += 1

    def _header_of(self, slot: Slot, ticket: int) -> Header | None:
        lane = self._memory.lanes[slot.lane]
        header = lane.units[slot.unit]
        if not isinstance(header, Header) or (header.ticket, header.life) != (ticket, lane.life):
            return None
        payload = self._payload_of(slot, header)
        expected = checksum_of(header.life, header.ticket, header.sequence, header.position, payload)
        return header if header.checksum == expected else None

    def _payload_of(self, slot: Slot, header: Header) -> bytes:
        units = self._memory.lanes[slot.lane].units[slot.unit + 1 : slot.unit + units_of(header.length)]
        return b"".join(unit for unit in units if isinstance(unit, bytes))

    def acknowledge(self, number: int) -> Steps[None]:
        self._acknowledged_below = max(self._acknowledged_below, number + 1)
        yield from self._free_passed()

    def _free_passed(self) -> Steps[None]:
        while self._passed:
            ticket = self._cursor - len(self._passed)
            if not self._passed[0].acknowledged and ticket >= self._acknowledged_below:
                return
            passed = self._passed.popleft()
            yield "advance head"
            self._memory.head = ticket + 1
            yield from self._finish(ticket, passed)

    def _finish(self, ticket: int, passed: _Passed) -> Steps[None]:
        memory, lane = self._memory, self._memory.lanes[passed.lane]
        if passed.header:
            yield "write acknowledged"
            lane.acknowledged = max(lane.acknowledged, passed.header.sequence + 1)
            yield "write consumed"
            lane.consumed = passed.header.position + units_of(passed.header.length)
        yield "free slot"
        slot = memory.slots[ticket % len(memory.slots)]
        memory.swap(ticket, slot, Slot(memory.lap(ticket) + 1))

    def recycle(self) -> Steps[None]:
        """Give back lanes of the dead, once everything that they may have committed was passed."""
        memory = self._memory
        for index, lane in enumerate(memory.lanes):
            yield "read life"
            if lane.life == 0 or lane.life in memory.living:
                continue
            if memory.head < self._drained_at.setdefault(index, memory.tail):
                continue
            del self._drained_at[index]
            self._next.pop(index, None)
            yield "free lane"
            lane.acknowledged = lane.consumed = 0
            lane.life = 0
            self.recycled += 1


def run(steps: Steps[T]) -> T:
    """Take all steps at once, as if nobody else were there."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
