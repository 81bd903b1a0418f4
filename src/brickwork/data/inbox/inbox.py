"""An inbox: memory of its consumer into which many producers put records, lossless whoever dies or stalls.

The protocol is native (native/lossless.hpp; told in docs/internals/inbox.md). Here it gets errors and time-outs.

What is promised. A record that `append` returned from is delivered. It counts as *acknowledged* once the consumer said
so, which is after its handler committed; when the consumer dies before that, its next life receives the record again
with `redelivered` set, and the handler has to recognise it. Records of one producer come in order, without gaps.
"""

from dataclasses import dataclass
from time import monotonic, sleep
from types import TracebackType
from typing import Self

from typing_extensions import Buffer

from brickwork import _native
from brickwork._native import Append, Endpoint, InboxTarget, LaneHold, Message, Region, ShmEndpoint
from brickwork.core.errors import BrickworkError
from brickwork.data.fabric.base import FabricError
from brickwork.data.fabric.shm import create_region

__all__ = ["Consumer", "Inbox", "InboxError", "InboxFenced", "InboxFull", "Message", "Producer", "Shape", "join_remote"]

NAP_S = 1.0
"""Longest native wait in one piece; in between Python looks at signals."""

JOIN_RETRY_S = 0.002
"""Between two tries to get a lane, while the consumer gives back those of the dead."""


class InboxError(BrickworkError):
    """An inbox cannot do what was asked; the text says what would help."""


class InboxFull(InboxError):
    """No credit within the time: the consumer is slower than its producers, stopped, or dead. Nothing was appended."""


class InboxFenced(InboxError):
    """The target gave this producer's life up. What became of records that were not acknowledged is unknown: send them
    again over a new life, marked so that the handler can recognise them."""


@dataclass(frozen=True)
class Shape:
    """What an inbox is made of.

    ring           lossless; lanes (no atomics needed); locked (the paper's baseline: loses messages under faults)
    slots          records that may wait at once, a power of two
    lanes          producer lives at once, 1..1024
    lane_bytes     one producer's unacknowledged bytes, with 64 a record on top; a multiple of 64 up to 64 MiB
    grace_s        (least, most) seconds that a slot may stay silent; adapts in between
    lock_lease_s   ring `locked` only: after this long its lock is robbed
    """

    ring: str = "lossless"
    slots: int = 1024
    lanes: int = 64
    lane_bytes: int = 256 << 10
    grace_s: tuple[float, float] = (0.002, 0.25)
    lock_lease_s: float = 0.005


class Inbox:
    """An inbox that this process has mapped. `fd` is what other processes of the host need to map it too."""

    def __init__(self, region: Region):
        self.region = region
        self.fd = region.fd

    @classmethod
    def create(cls, shape: Shape | None = None) -> Self:
        """raises    ValueError that names the field of `shape`"""
        shape = shape or Shape()
        if shape.ring not in _native.Ring.__members__:
            raise ValueError(f"ring: {shape.ring!r} is none of {', '.join(_native.Ring.__members__)}")
        layout = (_native.Ring[shape.ring], shape.slots, shape.lanes, shape.lane_bytes)
        region = create_region(_native.inbox_bytes(*layout))
        least_s, most_s = shape.grace_s
        _native.format_inbox(
            region, *layout, round(least_s * 1e9), round(most_s * 1e9), round(shape.lock_lease_s * 1e9)
        )
        return cls(region)

    @classmethod
    def open(cls, fd: int) -> Self:
        """raises    OSError when `fd` is no shared memory"""
        return cls(Region(fd))

    def join(self, timeout_s: float = 5.0) -> "Producer":
        """A new producer life in this process.

        raises    InboxFull when no lane gets free within `timeout_s`
        """
        hold = self._lane(timeout_s)
        return Producer(_native.Producer.local(ShmEndpoint(self.region), hold.lane, hold.life), hold)

    def consume(self, spin_s: float = 0.0) -> "Consumer":
        """Become the consumer. Records that an earlier one did not acknowledge come again.

        spin_s    how long a wait looks at memory before it sleeps; pays only where cores are idle (on two busy cores a
                  round trip took 11 us without, 21 us with 5 us, 67 us with 20 us: benchmarks/micro/data.py --spin-us)
        raises    RuntimeError while another consumer lives
        """
        return Consumer(_native.Consumer.attach(self.region, spin_s))

    def target(self, lease_s: float = 30.0) -> InboxTarget:
        """What a socket fabric's target calls for remote producers. One whose producer was silent for `lease_s` is
        fenced when another wants its lane."""
        return InboxTarget(self.region, lease_s)

    def _lane(self, timeout_s: float) -> LaneHold:
        deadline_s = monotonic() + timeout_s
        while True:
            try:
                return LaneHold(self.region)
            except FabricError as error:
                if monotonic() >= deadline_s:
                    raise InboxFull(str(error)) from None
            sleep(JOIN_RETRY_S)


def join_remote(endpoint: Endpoint, timeout_s: float = 5.0) -> "Producer":
    """A new producer life at the far end of `endpoint`, which has to offer `append`.

    raises    InboxFull when no lane gets free within `timeout_s`; FabricError
    """
    deadline_s = monotonic() + timeout_s
    while True:
        try:
            return Producer(_native.Producer.remote(endpoint), None)
        except FabricError as error:
            if error.fault != "refused":
                raise
            if monotonic() >= deadline_s:
                raise InboxFull(str(error)) from None
        sleep(JOIN_RETRY_S)


class Producer:
    """One producer life. Not for two threads at once. Ends with `close`, or with the process."""

    def __init__(self, native: _native.Producer, hold: LaneHold | None):
        self.native = native
        self._hold = hold

    def append(self, payload: Buffer, kind: int = 0, timeout_s: float = 5.0) -> None:
        """Put one record into the inbox; returns when it is committed, which the consumer need not have seen.

        raises    InboxFull after `timeout_s` without credit; ValueError when the record can never fit; InboxFenced;
                  FabricError (timed_out, peer_lost: `reconnect` over a new endpoint, append the same record again)
        """
        if check(self.native.append(kind, payload, min(timeout_s, NAP_S))):
            return
        deadline_s = monotonic() + timeout_s - NAP_S
        while (left_s := deadline_s - monotonic()) > 0:
            if check(self.native.append(kind, payload, min(left_s, NAP_S))):
                return
        raise InboxFull(f"No credit within {timeout_s} s: the consumer is slow, stopped or dead.")

    def try_append(self, payload: Buffer, kind: int = 0) -> bool:
        """The same without waiting: False when there is no credit, and nothing was appended."""
        return check(self.native.try_append(kind, payload))

    def reconnect(self, endpoint: Endpoint) -> None:
        """Go on over another endpoint to the same target. Only for `join_remote`."""
        self.native.reconnect(endpoint)

    @property
    def life(self) -> int:
        """The number of this life; an inbox never gives one twice."""
        return self.native.life

    @property
    def appended(self) -> int:
        """Records committed by this life."""
        return self.native.appended

    @property
    def skipped(self) -> int:
        """How often the consumer did not wait for this life any longer, and the record took another slot."""
        return self.native.skipped

    def acknowledged(self) -> int:
        """Records of this life that the consumer's handler has committed.

        raises    FabricError
        """
        return self.native.acknowledged()

    def close(self) -> None:
        """Give the lane back, once the consumer has passed what was appended."""
        if self._hold:
            self._hold.leave()
        del self.native

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Consumer:
    """The one consumer of an inbox. Not for two threads at once. Ends with `close`, or with the process."""

    def __init__(self, native: _native.Consumer):
        self.native = native

    def receive(self, at_most: int = 64, timeout_s: float | None = None) -> list[Message]:
        """Records in their order, as many as there are; waits for the first one. Empty after `timeout_s`."""
        deadline_s = float("inf") if timeout_s is None else monotonic() + timeout_s
        while True:
            left_s = deadline_s - monotonic()
            messages = self.native.receive(at_most, max(0.0, min(left_s, NAP_S)))
            if messages or left_s <= 0:
                return messages

    def acknowledge(self, message: Message) -> None:
        """The handlers of `message` and of all that were received before it have committed."""
        self.native.acknowledge(message.number)

    @property
    def counters(self) -> _native.Counters:
        """delivered, skipped, duplicates, damaged, recycled: so far, of this life."""
        return self.native.counters

    @property
    def epoch(self) -> int:
        """How many lives this inbox's consumer has had, with this one."""
        return self.native.epoch

    @property
    def depth(self) -> int:
        """Records appended and not yet acknowledged, about."""
        return self.native.depth

    def close(self) -> None:
        del self.native

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def check(outcome: Append) -> bool:
    """True: committed. False: no credit.

    raises    ValueError, InboxFenced
    """
    if outcome is Append.too_large:
        raise ValueError("payload: longer than a lane of this inbox; send a tensor handle, or make lane_bytes larger")
    if outcome is Append.fenced:
        raise InboxFenced("The target gave this producer's life up; join again.")
    return outcome is Append.committed
