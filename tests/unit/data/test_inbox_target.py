"""Goal: an append that is asked again, because its answer was lost, happens once; a session that was given up stays so.

Method: the target's own verb, called as a fabric's progress thread calls it, without a fabric.
"""

import struct

import pytest

from brickwork._native import Append, InboxTarget, Region
from brickwork.data.inbox import Inbox, Shape

JOIN, APPEND, LEAVE = range(3)
COMMITTED, FULL, TOO_LARGE, FENCED = range(4)


def call(target: InboxTarget, life: int, sequence: int, verb: int, payload: bytes = b"", kind: int = 0) -> int:
    return target.append(life, sequence, struct.pack("<II", verb, kind) + payload)


def join(target: InboxTarget) -> int:
    return call(target, 0, 0, JOIN) >> 16


@pytest.fixture
def inbox() -> Inbox:
    return Inbox.create(Shape(slots=4, lanes=1, lane_bytes=512))


def test_the_numbers_are_those_of_the_native_side() -> None:
    names = (Append.committed, Append.full, Append.too_large, Append.fenced)
    assert [name.value for name in names] == [COMMITTED, FULL, TOO_LARGE, FENCED]


def test_asked_again_it_is_there_once(inbox: Inbox) -> None:
    target, consumer = inbox.target(), inbox.consume()
    life = join(target)
    for sequence in range(3):
        for _ in range(3):
            assert call(target, life, sequence, APPEND, b"%d" % sequence, kind=7) == COMMITTED
    assert [(m.payload, m.kind, m.life) for m in consumer.receive(timeout_s=0.0)] == [
        (b"%d" % sequence, 7, life) for sequence in range(3)
    ]


def test_full_leaves_nothing_and_can_be_asked_again(inbox: Inbox) -> None:
    target, consumer = inbox.target(), inbox.consume()
    life = join(target)
    for sequence in range(4):
        assert call(target, life, sequence, APPEND) == COMMITTED
    assert call(target, life, 4, APPEND) == FULL
    assert call(target, life, 4, APPEND, bytes(600)) == TOO_LARGE
    consumer.acknowledge(consumer.receive(timeout_s=0.0)[-1])
    assert call(target, life, 4, APPEND, b"now") == COMMITTED
    assert [message.payload for message in consumer.receive(timeout_s=0.0)] == [b"now"]


@pytest.mark.parametrize("record", [b"", b"1234567", struct.pack("<II", 99, 0)])
def test_what_makes_no_sense_is_fenced(inbox: Inbox, record: bytes) -> None:
    target = inbox.target()
    life = join(target)
    assert target.append(12345, 0, record) == FENCED
    assert target.append(life, 0, record) == FENCED


def test_a_gap_in_the_sequence_is_fenced(inbox: Inbox) -> None:
    target = inbox.target()
    assert call(target, join(target), 1, APPEND) == FENCED


def test_a_silent_session_is_given_up_only_when_its_lane_is_wanted(inbox: Inbox) -> None:
    target, consumer = inbox.target(lease_s=0.0), inbox.consume()
    first = join(target)
    assert call(target, first, 0, APPEND, b"kept") == COMMITTED
    assert join(target) == 0  # no lane; this one asks for it
    assert call(target, first, 1, APPEND) == FENCED
    (message,) = consumer.receive(timeout_s=0.0)
    assert message.payload == b"kept"
    assert join(target) == 0  # the record is not acknowledged yet
    consumer.receive(timeout_s=0.0)
    consumer.acknowledge(message)
    assert join(target) == 0
    consumer.receive(timeout_s=0.0)
    second = join(target)
    assert second > first
    assert call(target, second, 0, LEAVE) == COMMITTED
    assert call(target, second, 0, APPEND) == FENCED


def test_a_region_without_an_inbox_is_refused() -> None:
    from brickwork.data.fabric.shm import create_region

    region: Region = create_region(4096)
    with pytest.raises(ValueError, match="holds none"):
        Inbox(region).consume()


@pytest.mark.parametrize(
    ("shape", "field"),
    [
        (Shape(ring="square"), "ring"),
        (Shape(slots=3), "slots"),
        (Shape(lanes=0), "lanes"),
        (Shape(lanes=1025), "lanes"),
        (Shape(lane_bytes=100), "lane_bytes"),
        (Shape(grace_s=(1.0, 0.5)), "grace"),
    ],
)
def test_a_shape_that_cannot_be_names_its_field(shape: Shape, field: str) -> None:
    with pytest.raises(ValueError, match=field):
        Inbox.create(shape)
