"""Every way to an inbox that the conformance suite runs over: fabric x ring. A fabric is one entry of FABRICS.

A `Way` is one inbox with both of its ends in this process, reached as that fabric reaches it.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from brickwork.data.inbox import Inbox, InboxFull, Producer, Shape
from brickwork.data.inbox.twin import UNIT_BYTES, Memory, TwinConsumer, TwinProducer, run
from support.remote import open_tcp, open_tcp_verbs, open_ucx_tcp


class Way(Protocol):
    """How a test meets an inbox; producers and consumers have the methods of brickwork.data.inbox's."""

    def join(self, timeout_s: float = 5.0) -> Any: ...
    def consume(self) -> Any: ...


class Shm:
    def __init__(self, shape: Shape):
        self.inbox = Inbox.create(shape)

    def join(self, timeout_s: float = 5.0) -> Producer:
        return self.inbox.join(timeout_s)

    def consume(self) -> Any:
        return self.inbox.consume()


@contextmanager
def open_shm(shape: Shape) -> Iterator[Way]:
    yield Shm(shape)


class Twin:
    """The twin behind the same methods. Waiting makes no sense in one thread: what is not there now never comes."""

    def __init__(self, shape: Shape):
        self._shape = shape
        self.memory = Memory.create(shape.slots, shape.lanes, shape.lane_bytes // UNIT_BYTES)
        self._consumer: _TwinConsumer | None = None

    def join(self, timeout_s: float = 5.0) -> Any:
        if self._consumer:
            run(self._consumer.twin.recycle())
        if not (producer := self.memory.join()):
            raise InboxFull("no lane")
        return _TwinProducer(producer, self._shape.lane_bytes)

    def consume(self) -> Any:
        self._consumer = _TwinConsumer(self.memory)
        return self._consumer


class _TwinProducer:
    def __init__(self, twin: TwinProducer, lane_bytes: int):
        self.twin = twin
        self._lane_bytes = lane_bytes

    def try_append(self, payload: bytes, kind: int = 0) -> bool:
        if len(payload) + UNIT_BYTES > self._lane_bytes:
            raise ValueError("payload")
        return run(self.twin.append(bytes(payload), kind))

    def append(self, payload: bytes, kind: int = 0, timeout_s: float = 5.0) -> None:
        if not self.try_append(payload, kind):
            raise InboxFull("no credit")

    @property
    def appended(self) -> int:
        return self.twin.appended

    def acknowledged(self) -> int:
        return self.twin.acknowledged()

    def close(self) -> None:
        self.twin.die()


class _TwinConsumer:
    def __init__(self, memory: Memory):
        self.twin = TwinConsumer(memory)
        self._memory = memory
        run(self.twin.start())
        self.epoch = memory.epoch

    def receive(self, at_most: int = 64, timeout_s: float | None = None) -> list[Any]:
        messages: list[Any] = []
        while len(messages) < at_most and (message := run(self.twin.receive())):
            messages.append(message)
        return messages

    def acknowledge(self, message: Any) -> None:
        run(self.twin.acknowledge(message.number))

    @property
    def depth(self) -> int:
        return self._memory.tail - self._memory.head

    @property
    def counters(self) -> TwinConsumer:
        return self.twin

    def close(self) -> None:
        """Its memory stays; the next one starts a new epoch."""


@contextmanager
def open_twin(shape: Shape) -> Iterator[Way]:
    yield Twin(shape)


@dataclass(frozen=True)
class Fabric:
    """One entry of the suite.

    open       an inbox of that shape, reached over this fabric
    rings      the implementations that it carries
    threads    producers may run in threads beside the consumer
    """

    name: str
    open: Callable[[Shape], AbstractContextManager[Way]]
    rings: tuple[str, ...]
    threads: bool = True


FABRICS = [
    Fabric("twin", open_twin, ("lossless",), threads=False),
    Fabric("shm", open_shm, ("lossless", "locked", "lanes")),
    Fabric("tcp", open_tcp, ("lossless", "lanes")),
    Fabric("tcp-verbs", open_tcp_verbs, ("lossless", "locked", "lanes")),
    Fabric("ucx-tcp", open_ucx_tcp, ("lossless",)),
]
