"""The near end of tests/net/test_namespaces.py, which runs this file by pytest inside of a namespace.

Inboxes whose producers are here and whose target is at the other end of a bad link. The consumer maps the memory, so it
sees at once what the target did.
"""

import threading
from time import monotonic
from typing import Any

import pytest

from brickwork._native import FabricError
from brickwork.data.inbox import Shape
from support.fabrics import FABRICS
from support.netns import link_here
from support.remote import RemoteWay

GRACE_S = (0.002, 2.0)
"""Seconds before a silent slot is skipped: starts far below what a commit takes over these links, and adapts."""

PRODUCERS, RECORDS = 2, 4
WITHIN_S = 120.0


def receive_all(consumer: Any, wanted: int) -> list[Any]:
    deadline_s, taken = monotonic() + WITHIN_S, []
    while len(taken) < wanted:
        assert monotonic() < deadline_s, f"{len(taken)} of {wanted} records came; skipped {consumer.counters.skipped}"
        for message in consumer.receive(64, 1.0):
            taken.append(message)
            consumer.acknowledge(message)
    return taken


@pytest.mark.parametrize("name", ["tcp", "tcp-verbs", "ucx-tcp"])
def test_weather_lets_every_record_through_once_and_in_order(name: str) -> None:
    """With raw verbs a commit takes several round trips, longer than the first grace: slots are skipped, the producers
    try again, the grace grows, and all get through."""
    fabric = next(fabric for fabric in FABRICS if fabric.name == name)
    with fabric.open(Shape("lossless", slots=8, lanes=4, lane_bytes=4096, grace_s=GRACE_S)) as way:
        consumer = way.consume()
        producers = [way.join() for _ in range(PRODUCERS)]

        def produce(index: int) -> None:
            for record in range(RECORDS):
                producers[index].append(b"%d %d" % (index, record), timeout_s=WITHIN_S)

        threads = [threading.Thread(target=produce, args=(index,)) for index in range(PRODUCERS)]
        for thread in threads:
            thread.start()
        messages = receive_all(consumer, PRODUCERS * RECORDS)
        for thread in threads:
            thread.join()
        for index in range(PRODUCERS):
            mine = [message.payload for message in messages if message.payload.startswith(b"%d " % index)]
            assert mine == [b"%d %d" % (index, record) for record in range(RECORDS)]
        assert consumer.counters.duplicates == consumer.counters.damaged == 0
        assert not consumer.receive(1, 0.1)


def test_partition_shorter_than_the_time_out_is_only_a_pause() -> None:
    link = link_here()
    way = RemoteWay(Shape(slots=8, lanes=2, lane_bytes=4096), "tcp", "tcp,self", is_composite=True)
    consumer, producer = way.consume(), way.join()
    producer.append(b"before")
    link.part()
    healer = threading.Timer(1.0, link.heal)
    healer.start()
    producer.append(b"through", timeout_s=WITHIN_S)
    healer.join()
    assert [message.payload for message in receive_all(consumer, 2)] == [b"before", b"through"]
    way.close()


def test_partition_longer_than_the_time_out_is_survived_by_asking_again() -> None:
    """The first answer is lost with its connection; the record is asked for again over a new one, and is there once."""
    link = link_here()
    way = RemoteWay(Shape(slots=8, lanes=2, lane_bytes=4096), "tcp", "tcp,self", is_composite=True, timeout_s=1.0)
    consumer, producer = way.consume(), way.join()
    producer.append(b"0")
    for record in range(1, 3):
        link.part()
        with pytest.raises(FabricError) as caught:
            producer.append(b"%d" % record, timeout_s=WITHIN_S)
        assert caught.value.fault in ("timed_out", "peer_lost")
        link.heal()
        producer.reconnect(way.connect())
        producer.append(b"%d" % record, timeout_s=WITHIN_S)
    assert [message.payload for message in receive_all(consumer, 3)] == [b"0", b"1", b"2"]
    assert consumer.counters.damaged == 0 and not consumer.receive(1, 0.1)
    way.close()
