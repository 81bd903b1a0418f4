"""Goal: no interleaving of producers and a consumer, no death and no stop in the middle of a step, makes the lossless
inbox lose, repeat, tear or reorder a record.

Method: chance is the scheduler, and Hypothesis draws how it is inclined. The twin's operations are generators that
yield before each access to shared memory; a step is one of theirs, drops one (a death), or starts the consumer anew.
What is handled is compared with what was committed, after every step and at the end, when nobody is harmed any more.
"""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from brickwork.data.inbox.twin import Memory, Message, Steps, TwinConsumer, TwinProducer, run

RECORDS = 3
STEPS = 600
PRODUCERS = ("0", "1", "2")
HARM = ("die 0", "die 1", "die 2", "restart")


def payload_of(life: int, sequence: int) -> bytes:
    return bytes([life, sequence]) * (20 + 30 * sequence)


class World:
    """Three places for producers, one consumer that handles each record by one store."""

    def __init__(self, patience: int) -> None:
        self.memory = Memory.create(slots=2, lanes=3, lane_units=4)
        self.patience = patience
        self.handled: dict[int, int] = {}
        self.producers: dict[int, TwinProducer] = {}
        self.steps: dict[int, Steps[None]] = {}
        self.appended: dict[int, TwinProducer] = {}
        for place in range(3):
            self.join(place)
        self.consumer = TwinConsumer(self.memory, patience)
        self.consuming = self.consume(self.consumer)

    def join(self, place: int) -> None:
        if producer := self.memory.join():
            self.producers[place] = self.appended[producer.life] = producer
            self.steps[place] = self.produce(producer)

    def produce(self, producer: TwinProducer) -> Steps[None]:
        while producer.appended < RECORDS:
            yield from producer.append(payload_of(producer.life, producer.appended))
            yield "think"

    def consume(self, consumer: TwinConsumer) -> Steps[None]:
        yield from consumer.start()
        while True:
            if message := (yield from consumer.receive()):
                yield "handle"
                self.handle(message)
                yield "acknowledge"
                yield from consumer.acknowledge(message.number)
            yield from consumer.recycle()

    def handle(self, message: Message) -> None:
        assert message.payload == payload_of(message.life, message.sequence), "torn, or a ghost"
        expected = self.handled.get(message.life, 0)
        assert message.sequence <= expected, "gap"
        assert message.sequence == expected or message.redelivered, "twice, and nothing told so"
        self.handled[message.life] = max(expected, message.sequence + 1)

    def step(self, choice: str) -> None:
        verb, _, place = choice.rpartition(" ")
        if choice == "consumer":
            next(self.consuming)
        elif choice == "restart":
            self.consumer = TwinConsumer(self.memory, self.patience)
            self.consuming = self.consume(self.consumer)
        elif verb == "die":
            if producer := self.producers.pop(int(place), None):
                del self.steps[int(place)]
                producer.die()
        elif int(place) not in self.steps:
            self.join(int(place))
        else:
            next(self.steps[int(place)], None)
        for life, producer in self.appended.items():
            assert producer.acknowledged() <= self.handled.get(life, 0) or self.is_reused(producer), (
                "acknowledged, lost"
            )

    def is_reused(self, producer: TwinProducer) -> bool:
        return producer.life not in self.memory.living

    def settle(self) -> None:
        """Nobody is harmed any more, and the consumer waits longer than an append takes: everybody finishes."""
        self.consumer.patience = 30
        for _ in range(1000):
            for steps in self.steps.values():
                for _ in range(5):
                    next(steps, None)
            for _ in range(20):
                next(self.consuming)
            if self.memory.head == self.memory.tail and all(p.appended == RECORDS for p in self.producers.values()):
                break
        for _ in range(20):
            next(self.consuming)
        assert {place: producer.appended for place, producer in self.producers.items()} == dict.fromkeys(
            self.producers, RECORDS
        ), "somebody waits for ever"
        for life, producer in self.appended.items():
            assert self.handled.get(life, 0) >= producer.appended, "lost"
            if not self.is_reused(producer):
                assert producer.acknowledged() == RECORDS


@settings(max_examples=250)
@given(
    seed=st.integers(0, 2**32),
    patience=st.integers(0, 3),
    consumer=st.sampled_from([1, 3, 10]),
    harm=st.sampled_from([0.002, 0.02, 0.1]),
)
def test_every_interleaving_keeps_the_promise(seed: int, patience: int, consumer: int, harm: float) -> None:
    """`consumer` times as many steps for it as for a producer; a death or restart in a share `harm` of the steps."""
    rng, world = random.Random(seed), World(patience)
    for _ in range(STEPS):
        is_harm = rng.random() < harm
        world.step(rng.choice(HARM) if is_harm else rng.choices((*PRODUCERS, "consumer"), (1, 1, 1, consumer))[0])
    world.settle()


def test_who_was_skipped_puts_the_same_record_again() -> None:
    """1. A takes ticket 0 and stands still. 2. B commits ticket 1. 3. The consumer skips 0 and delivers B's record.
    4. A wakes up, finds its slot SKIPPED, and commits under ticket 2."""
    memory = Memory.create(slots=4, lanes=2, lane_units=4)
    a, b = memory.join(), memory.join()
    assert a and b
    steps = a.append(b"from a")
    while next(steps) != "commit":
        pass
    assert run(b.append(b"from b"))
    consumer = TwinConsumer(memory)
    run(consumer.start())
    received: Any = run(consumer.receive())
    assert (received.payload, received.number, consumer.skipped) == (b"from b", 1, 1)
    assert run(steps) is True
    received = run(consumer.receive())
    assert (received.payload, received.number, a.skipped) == (b"from a", 2, 1)


def test_a_dead_producers_hole_is_no_obstacle() -> None:
    memory = Memory.create(slots=2, lanes=2, lane_units=4)
    dying, living = memory.join(), memory.join()
    assert dying and living
    steps = dying.append(b"never")
    while next(steps) != "put bytes":
        pass
    dying.die()
    consumer = TwinConsumer(memory)
    run(consumer.start())
    for index in range(5):
        assert run(living.append(b"%d" % index))
        message = run(consumer.receive())
        assert message
        assert message.payload == b"%d" % index
        run(consumer.acknowledge(message.number))
    run(consumer.recycle())
    run(consumer.recycle())
    assert memory.lanes[0].life == 0
