"""Goal: on shm nobody at the consumer takes part: while its process is stopped, puts, atomics and records land. And a
consumer that sleeps is woken, in asyncio too, without anything being read while nothing happens.

Method: a child that owns the inbox and is stopped by SIGSTOP; then an event loop whose inbox is silent, full, or both,
and one whose peer over tcp is stopped.
"""

import asyncio
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from brickwork.data.fabric.shm import connect
from brickwork.data.inbox import Inbox, InboxFull, Shape, join_remote
from brickwork.data.inbox.aio import AsyncConsumer, AsyncProducer
from support.remote import FarEnd

RECORDS = 50


def forked(work: Callable[[], None]) -> int:
    """A child that does `work`; it ends with 0 when that returned."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)  # returns when it has stopped


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    yield Inbox.create(Shape(slots=64, lanes=2, lane_bytes=16 << 10))


def test_everything_lands_while_the_consumer_is_stopped(inbox: Inbox) -> None:
    """1. The consumer waits, asleep. 2. It is stopped. 3. Records are appended, words changed: all returns at once, and
    is there. 4. It goes on, and finds every record."""

    def consume() -> None:
        with inbox.consume() as consumer:
            for index in range(RECORDS):
                (message,) = consumer.receive(1, timeout_s=120)
                assert message.payload == b"%d" % index
                consumer.acknowledge(message)

    child = forked(consume)
    producer = inbox.join()
    producer.append(b"0")
    while producer.acknowledged() < 1:
        pass
    stop(child)
    endpoint = connect(inbox.region)
    capability = endpoint.capability
    assert (capability.native_put, capability.native_get, capability.native_atomics) == (True, True, True)
    assert not capability.needs_target_progress
    for index in range(1, RECORDS):
        producer.append(b"%d" % index, timeout_s=0.0)
    word = bytearray(8)
    last = len(inbox.region) - 8
    endpoint.put(last, b"12345678")
    endpoint.flush()
    endpoint.get(last, word)
    assert word == b"12345678"
    assert endpoint.compare_and_swap(last, int.from_bytes(word, "little"), 5) == int.from_bytes(word, "little")
    assert endpoint.fetch_add(last, 2) == 5
    assert producer.acknowledged() == 1
    os.kill(child, signal.SIGCONT)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert producer.acknowledged() == RECORDS


def test_a_loop_that_waits_uses_no_time(inbox: Inbox) -> None:
    async def wait() -> float:
        consumer = AsyncConsumer(inbox.consume())
        waiting = asyncio.create_task(consumer.receive())
        await asyncio.sleep(0.05)
        before_s = _cpu_s()
        await asyncio.sleep(0.5)
        used_s = _cpu_s() - before_s
        waiting.cancel()
        return used_s

    assert asyncio.run(wait()) < 0.25  # spinning would take all of the half second


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def test_a_loop_gets_all_that_came_in_one_wake(inbox: Inbox) -> None:
    async def main() -> list[bytes]:
        consumer, producer = AsyncConsumer(inbox.consume()), AsyncProducer(inbox.join())
        received: list[bytes] = []

        async def consume() -> None:
            async for batch in consumer:
                received.extend(message.payload for message in batch)
                consumer.acknowledge(batch[-1])
                if len(received) == 500:
                    return

        consuming = asyncio.create_task(consume())
        for index in range(500):
            await producer.append(b"%d" % index, timeout_s=60)
        await asyncio.wait_for(consuming, 60)
        return received

    assert asyncio.run(main()) == [b"%d" % index for index in range(500)]


def test_a_full_inbox_does_not_hold_the_loop_up(inbox: Inbox) -> None:
    """1. Nobody consumes; the lane is full. 2. An append waits; the loop goes on meanwhile. 3. It is cancelled, another
    one times out. 4. Credit comes: what was given up never arrives, the next record does."""

    async def main() -> None:
        consumer, producer = inbox.consume(), AsyncProducer(inbox.join())
        while producer.producer.try_append(b"early"):
            pass
        early = producer.producer.appended
        waiting = asyncio.create_task(producer.append(b"cancelled", timeout_s=60))
        await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(InboxFull):
            await producer.append(b"late", timeout_s=0.01)
        waiting = asyncio.create_task(producer.append(b"next", timeout_s=60))
        await asyncio.sleep(0.01)
        messages = consumer.receive(early)
        consumer.acknowledge(messages[-1])
        await asyncio.wait_for(waiting, 60)
        (message,) = consumer.receive(1, timeout_s=60)
        assert (message.payload, message.sequence) == (b"next", early)

    asyncio.run(main())


def test_a_silent_slot_wakes_a_sleeping_loop(inbox: Inbox) -> None:
    """A ticket is taken and never used, as by a producer that died there: what comes behind it arrives all the same."""

    async def main() -> None:
        consumer = AsyncConsumer(inbox.consume())
        producer = inbox.join()
        waiting = asyncio.create_task(consumer.receive())
        await asyncio.sleep(0)
        connect(inbox.region).fetch_add(128, 1)  # the tail: native/layout.hpp
        threading.Thread(target=producer.append, args=(b"behind",)).start()
        (message,) = await asyncio.wait_for(waiting, 60)
        assert message.payload == b"behind"
        assert consumer.consumer.counters.skipped == 1

    asyncio.run(main())


def test_a_stuck_peer_never_holds_the_loop_up(inbox: Inbox) -> None:
    """1. A peer over tcp is stopped. 2. An append to it waits; the loop and its other inbox go on. 3. The peer goes on,
    and the record is there."""
    far, there = FarEnd(), Inbox.create(Shape(slots=64, lanes=2))
    served = far.serve("tcp", there.region, lease_s=30.0)

    async def main() -> bytes:
        stuck = AsyncProducer(join_remote(served.connect(timeout_s=120)), remote=True)
        near, consumer = AsyncProducer(inbox.join()), AsyncConsumer(inbox.consume())
        await stuck.append(b"before", timeout_s=60)
        far.stop()
        waiting = asyncio.create_task(stuck.append(b"through", timeout_s=100))
        for index in range(200):
            await near.append(b"%d" % index, timeout_s=60)
            (message,) = await asyncio.wait_for(consumer.receive(), 60)
            consumer.acknowledge(message)
        assert not waiting.done()
        far.go_on()
        await asyncio.wait_for(waiting, 100)
        with there.consume() as reader:
            payload: bytes = reader.receive(2, timeout_s=60)[-1].payload
        stuck.close()
        return payload

    try:
        assert asyncio.run(main()) == b"through"
    finally:
        far.close()
