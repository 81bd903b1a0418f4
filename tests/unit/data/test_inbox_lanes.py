"""Goal: the ring of single-producer lanes loses no lane when its consumer dies while it gives one back.

Method: what that consumer leaves behind is written by hand; tests/model/lanes.pml meets every such death.
"""

from brickwork.data.inbox import Consumer, Inbox, InboxFull, Message, Producer, Shape

FIRST_LANES_END = 4096 + 64
"""Where kLaneWritten of lane 0 lies (native/layout.hpp)."""


def test_a_lane_that_was_half_given_back_is_given_back_by_the_next_consumer() -> None:
    """1. A life ends; all of it is acknowledged. 2. The consumer dies after the first of the words that it clears, the
    lane's end. 3. The next one sees nothing to read there, and gives the lane to who wants it."""
    inbox = Inbox.create(Shape("lanes", lanes=1, lane_bytes=1024))
    with inbox.join() as producer, inbox.consume() as consumer:
        producer.append(b"early")
        consumer.acknowledge(received(consumer))
    inbox.region.view()[FIRST_LANES_END : FIRST_LANES_END + 8] = bytes(8)
    with inbox.consume() as consumer:
        assert consumer.depth == 0
        with join(inbox, consumer) as producer:
            producer.append(b"late")
            assert received(consumer).payload == b"late"
        assert consumer.counters.damaged == 0


def received(consumer: Consumer) -> Message:
    (message,) = consumer.receive(1, 5.0)
    return message


def join(inbox: Inbox, consumer: Consumer) -> Producer:
    """With a consumer in the same thread that has to give the lane back first."""
    for _ in range(10):
        try:
            return inbox.join(timeout_s=0.0)
        except InboxFull:
            assert not consumer.receive(1, 0.01)
    raise AssertionError("the lane never came back")
