"""Goal: whatever fabric and whatever ring, an inbox delivers what was appended: whole, once, in order, within bounds.
What a ring promises less is said where it is skipped.

Method: one suite over every fabric x ring of support/fabrics.py, both ends in one process and mostly in one thread, so
that every boundary is met on purpose: record sizes around each multiple of a unit, lanes and slot rings so small that
they wrap all the time, credit that runs out, lives that end, consumers that start again. Kills and pauses of real
processes: tests/fault/test_inbox_kills.py; every interleaving: tests/property/test_inbox_twin.py.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brickwork.data.inbox import InboxFull, Shape
from support.fabrics import FABRICS, Fabric, Way

WAYS = [pytest.param(fabric, ring, id=f"{fabric.name}-{ring}") for fabric in FABRICS for ring in fabric.rings]
REDELIVERS = {"lossless", "lanes"}  # the locked ring forgets a record as soon as it is delivered
HAS_LANES = {"lossless", "lanes"}  # in the locked ring all producers share one buffer


class Ways:
    def __init__(self, fabric: Fabric, ring: str):
        self.fabric = fabric
        self.ring = ring
        self._stack = ExitStack()

    def open(self, slots: int = 8, lanes: int = 4, lane_bytes: int = 1024) -> Way:
        shape = Shape(self.ring, slots, lanes, lane_bytes, lock_lease_s=0.05)
        return self._stack.enter_context(self.fabric.open(shape))

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def ways(fabric: Fabric, ring: str) -> Iterator[Ways]:
    ways = Ways(fabric, ring)
    yield ways
    ways.close()


pytestmark = pytest.mark.parametrize(("fabric", "ring"), WAYS)


def payload_of(seed: int, nbytes: int) -> bytes:
    return random.Random(seed).randbytes(nbytes)


def take(consumer: Any, wanted: int, within_s: float = 20.0) -> list[Any]:
    """Exactly `wanted` records, not acknowledged."""
    taken: list[Any] = []
    while len(taken) < wanted:
        messages = consumer.receive(wanted - len(taken), within_s)
        assert messages, f"{len(taken)} of {wanted} records came"
        taken += messages
    return taken


def test_sizes_around_every_boundary(ways: Ways) -> None:
    way = ways.open(lane_bytes=4096)
    producer, consumer = way.join(), way.consume()
    sizes = sorted({0, 1, 7, 8, 9, *(64 * n + d for n in range(1, 63) for d in (-1, 0, 1)), 4031, 4032})
    for index, nbytes in enumerate(sizes):
        producer.append(payload_of(index, nbytes), kind=index)
        (message,) = take(consumer, 1)
        assert message.payload == payload_of(index, nbytes)
        assert (message.kind, message.sequence, message.redelivered) == (index, index, False)
        consumer.acknowledge(message)
    assert producer.acknowledged() == producer.appended == len(sizes)


def test_what_never_fits_is_refused_and_changes_nothing(ways: Ways) -> None:
    way = ways.open(lanes=1, lane_bytes=1024)
    producer, consumer = way.join(), way.consume()
    with pytest.raises(ValueError, match="payload"):
        producer.append(bytes(1024 - 63))
    producer.append(bytes(1024 - 64))
    (message,) = take(consumer, 1)
    assert (message.sequence, len(message.payload)) == (0, 960)


@settings(max_examples=25)
@given(
    sizes=st.lists(st.integers(0, 448), max_size=60),
    held=st.integers(1, 4),
    slots=st.sampled_from([1, 2, 8]),
    seed=st.integers(0, 2**16),
)
def test_tiny_rings_wrap(fabric: Fabric, ring: str, sizes: list[int], held: int, slots: int, seed: int) -> None:
    """Up to `held` records stay unacknowledged, so that ring and lane are full, empty and anything in between."""
    with fabric.open(Shape(ring, slots, 1, 512, lock_lease_s=0.05)) as way:
        producer, consumer = way.join(), way.consume()
        waiting = list(enumerate(sizes))
        expected = count()
        unacknowledged: list[Any] = []
        while waiting or consumer.depth:
            while waiting and producer.try_append(payload_of(seed + waiting[0][0], waiting[0][1])):
                waiting.pop(0)
            messages = consumer.receive(held, 0.0)
            for message in messages:
                index = next(expected)
                assert message.sequence == index
                assert message.payload == payload_of(seed + index, sizes[index])
            unacknowledged += messages
            assert unacknowledged, "no progress: nothing to deliver, nothing appended"
            if len(unacknowledged) >= held or not messages:
                consumer.acknowledge(unacknowledged[-1])
                unacknowledged = []
        assert producer.acknowledged() == len(sizes) == next(expected)


def test_records_of_several_producers_keep_each_ones_order(ways: Ways) -> None:
    way = ways.open(slots=4, lanes=3, lane_bytes=512)
    producers = [way.join() for _ in range(3)]
    consumer = way.consume()
    rng = random.Random(7)
    sent = [0, 0, 0]
    seen: dict[int, list[bytes]] = {}
    while sum(sent) < 300:
        one = rng.randrange(3)
        payload = payload_of(one << 16 | sent[one], rng.randrange(200))
        if producers[one].try_append(b"%d:" % one + payload):
            sent[one] += 1
        elif messages := consumer.receive(rng.randrange(1, 5), 0.0):
            for message in messages:
                assert message.sequence == len(seen.setdefault(message.life, []))
                seen[message.life].append(message.payload)
            consumer.acknowledge(messages[-1])
    for message in consumer.receive(64, 0.0):
        seen[message.life].append(message.payload)
    assert sorted(len(records) for records in seen.values()) == sorted(sent)
    assert all(len({record[:2] for record in records}) == 1 for records in seen.values())


def test_credit_bounds_what_waits(ways: Ways) -> None:
    way = ways.open(slots=4, lanes=2, lane_bytes=4096)
    slow, other = way.join(), way.join()
    consumer = way.consume()
    by_slots = 0
    while slow.try_append(b"x" * 100):
        by_slots += 1
    assert by_slots == (4 if ways.ring != "lanes" else 4096 // 192)
    with pytest.raises(InboxFull):
        slow.append(b"y", timeout_s=0.01)
    assert consumer.depth == by_slots
    first = take(consumer, 1)[0]
    consumer.acknowledge(first)
    assert slow.try_append(b"z" * 100)
    if ways.ring == "lanes":
        assert other.try_append(b"lanes do not share credit")


def test_one_producers_full_lane_leaves_the_others_theirs(ways: Ways) -> None:
    if ways.ring not in HAS_LANES:
        pytest.skip("the locked ring has one buffer for all: a fast producer takes everybody's room")
    way = ways.open(slots=64, lanes=2, lane_bytes=256)
    greedy, modest = way.join(), way.join()
    while greedy.try_append(b"x"):
        pass
    assert modest.try_append(b"y")


def test_giving_up_an_append_leaves_no_trace(ways: Ways) -> None:
    """1. The ring is full. 2. A producer gives its record up. 3. Its next record, another one, comes instead."""
    way = ways.open(slots=2, lanes=1, lane_bytes=512)
    producer, consumer = way.join(), way.consume()
    while producer.try_append(b"early"):
        pass
    early = producer.appended
    with pytest.raises(InboxFull):
        producer.append(b"given up", timeout_s=0.01)
    consumer.acknowledge(take(consumer, early)[-1])
    producer.append(b"late")
    (message,) = take(consumer, 1)
    assert (message.payload, message.sequence) == (b"late", early)


def test_a_new_life_takes_a_dead_ones_lane(ways: Ways) -> None:
    """Lives number upwards; the lane of one that ended is reused only after its records were passed."""
    way = ways.open(lanes=1)
    consumer = way.consume()
    lives = []
    for round_ in range(20):
        producer = _join_while(way, consumer)
        for record in range(3):
            producer.append(b"%d %d" % (round_, record))
        producer.close()
        messages = take(consumer, 3)
        assert [message.payload for message in messages] == [b"%d %d" % (round_, record) for record in range(3)]
        assert [message.sequence for message in messages] == [0, 1, 2]
        lives.append(messages[0].life)
        if ways.ring in REDELIVERS:
            with pytest.raises(InboxFull):
                way.join(timeout_s=0.01)
        consumer.acknowledge(messages[-1])
    assert lives == sorted(set(lives))
    assert consumer.counters.recycled == 19


def _join_while(way: Way, consumer: Any) -> Any:
    """Join, with a consumer in the same thread that has to give the lane back first."""
    for _ in range(100):
        try:
            return way.join(timeout_s=0.0)
        except InboxFull:
            assert not consumer.receive(1, 0.01)
    raise AssertionError("the lane never came back")


def test_a_restarted_consumer_gets_again_what_was_not_acknowledged(ways: Ways) -> None:
    if ways.ring not in REDELIVERS:
        pytest.skip("the locked ring assumes that the consumer never fails: delivered is gone")
    way = ways.open(slots=16, lanes=2, lane_bytes=2048)
    producer, consumer = way.join(), way.consume()
    for index in range(10):
        producer.append(b"%d" % index)
    consumer.acknowledge(take(consumer, 7)[3])
    consumer.close()
    assert producer.acknowledged() == 4
    producer.append(b"10")
    again = way.consume()
    assert again.epoch == 2
    messages = take(again, 7)
    assert [message.payload for message in messages] == [b"%d" % index for index in range(4, 11)]
    assert all(message.redelivered for message in messages)
    producer.append(b"11")
    (fresh,) = take(again, 1)
    assert not fresh.redelivered
    again.acknowledge(fresh)
    assert producer.acknowledged() == producer.appended == 12


def test_many_restarts_lose_and_repeat_nothing(ways: Ways) -> None:
    if ways.ring not in REDELIVERS:
        pytest.skip("the locked ring assumes that the consumer never fails: delivered is gone")
    way = ways.open(slots=4, lanes=1, lane_bytes=512)
    producer, consumer = way.join(), way.consume()
    rng = random.Random(3)
    handled: list[bytes] = []
    sent = 0
    while len(handled) < 200:
        while producer.try_append(payload_of(sent, rng.randrange(150))):
            sent += 1
        for message in consumer.receive(rng.randrange(1, 4), 0.0):
            if message.sequence < len(handled):
                assert message.redelivered
                assert message.payload == handled[message.sequence]
            else:
                assert message.sequence == len(handled)
                handled.append(message.payload)
            if rng.random() < 0.7:
                consumer.acknowledge(message)
        if rng.random() < 0.3:
            consumer.close()
            consumer = way.consume()
    assert producer.acknowledged() <= len(handled)


def test_producers_in_threads_and_a_consumer(ways: Ways) -> None:
    if not ways.fabric.threads:
        pytest.skip("the twin lives in one thread; its interleavings are in tests/property/test_inbox_twin.py")
    way = ways.open(slots=8, lanes=4, lane_bytes=1024)
    consumer = way.consume()
    failures: list[BaseException] = []

    def produce(seed: int) -> None:
        try:
            producer = way.join()
            for index in range(300):
                producer.append(payload_of(seed << 16 | index, index % 300), kind=seed, timeout_s=60)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=produce, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    next_of = {0: 0, 1: 0, 2: 0}
    for _ in range(900):
        (message,) = take(consumer, 1, within_s=60)
        index = next_of[message.kind]
        assert message.payload == payload_of(message.kind << 16 | index, index % 300)
        next_of[message.kind] += 1
        consumer.acknowledge(message)
    for thread in threads:
        thread.join()
    assert not failures
    assert consumer.counters.damaged == 0


def test_one_inbox_has_one_consumer(ways: Ways) -> None:
    if ways.fabric.name == "twin":
        pytest.skip("the twin trusts its caller")
    way = ways.open()
    consumer = way.consume()
    with pytest.raises(RuntimeError, match="consumer"):
        way.consume()
    consumer.close()
    way.consume()
