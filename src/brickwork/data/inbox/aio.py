"""Inboxes for asyncio: one native thread sleeps for all inboxes of a process and wakes the loop through one eventfd.

Nothing here blocks the loop. A producer on this host needs no thread: an append that finds no credit is tried again
when the watcher tells. A remote one has a thread of its own, because its verbs wait for a peer that may be stuck.
"""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from weakref import WeakKeyDictionary

from typing_extensions import Buffer

from brickwork import _native
from brickwork._native import Message
from brickwork.data.inbox.inbox import Consumer, InboxFull, Producer, check


class Hub:
    """The loop's end of the native watcher."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop = loop
        self._watcher = _native.Watcher()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._ids = count()
        loop.add_reader(self._watcher.fd, self._wake)

    async def until_work(self, consumer: _native.Consumer) -> None:
        """Returns when there is something to receive, or a silent slot to give up."""
        waiting = next(self._ids)
        self._watcher.watch_consumer(waiting, consumer)
        await self._told(waiting)

    async def until_credit(self, producer: _native.Producer) -> None:
        """Returns when credit may have appeared since `producer`'s last append, which found none."""
        waiting = next(self._ids)
        self._watcher.watch_credit(waiting, producer)
        await self._told(waiting)

    async def _told(self, waiting: int) -> None:
        future = self._waiting[waiting] = self._loop.create_future()
        try:
            await future
        finally:
            self._watcher.forget(waiting)
            del self._waiting[waiting]

    def _wake(self) -> None:
        for waiting in self._watcher.take_ready():
            future = self._waiting.get(waiting)
            if future and not future.done():
                future.set_result(None)

    def close(self) -> None:
        self._loop.remove_reader(self._watcher.fd)
        for future in self._waiting.values():
            future.cancel()


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """The running loop's own; made on first use."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub(loop)
    return _hubs[loop]


class AsyncConsumer:
    """`async for batch in consumer`: all that is there at each wake, up to `at_most` records."""

    def __init__(self, consumer: Consumer, at_most: int = 64):
        self.consumer = consumer
        self._at_most = at_most

    async def receive(self) -> list[Message]:
        """At least one record. Cancelling it loses none."""
        while True:
            if messages := self.consumer.native.receive(self._at_most, 0.0):
                return messages
            await hub().until_work(self.consumer.native)

    async def __aiter__(self) -> AsyncIterator[list[Message]]:
        while True:
            yield await self.receive()

    def acknowledge(self, message: Message) -> None:
        """See Consumer.acknowledge."""
        self.consumer.acknowledge(message)


class AsyncProducer:
    """A producer whose waits do not hold up the loop.

    remote    its verbs cross a network: they run in a thread of their own, so a stuck peer delays nobody else
    """

    def __init__(self, producer: Producer, remote: bool = False):
        self.producer = producer
        self._thread = ThreadPoolExecutor(1, "inbox-peer") if remote else None

    async def append(self, payload: Buffer, kind: int = 0, timeout_s: float = 5.0) -> None:
        """See Producer.append. Cancelled, a local record is not appended; a remote one still may be.

        raises    what Producer.append raises
        """
        if self._thread:
            await asyncio.get_running_loop().run_in_executor(
                self._thread, self.producer.append, payload, kind, timeout_s
            )
            return
        try:
            async with asyncio.timeout(timeout_s):
                while not check(self.producer.native.try_append(kind, payload)):
                    await hub().until_credit(self.producer.native)
        except TimeoutError:
            raise InboxFull(f"No credit within {timeout_s} s: the consumer is slow, stopped or dead.") from None

    def close(self) -> None:
        """Give the lane back; does not wait for a stuck peer."""
        if self._thread:
            self._thread.shutdown(wait=False, cancel_futures=True)
        else:
            self.producer.close()
