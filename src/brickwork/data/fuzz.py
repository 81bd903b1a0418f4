"""Kills and pauses real producers and the consumer of an inbox at random, and counts what that does to its records.

    python -m brickwork.data.fuzz --seconds 60 [--fabric shm|tcp] [--ring lossless|lanes|locked] [--seed 1]

Without `--fabric` and `--ring` all of RUNS, one after the other, so many seconds each, and their counts side by side.

Producers append records that name their life, their sequence number and, by rule, every byte. The parent sends SIGKILL,
SIGSTOP (for less and for more than every time-out) and SIGCONT, and starts new ones. What was handled is kept in shared
memory that no victim owns; a handler commits by one store.

    torn        a byte is not what the rule says
    twice       handled again, and not told that it may be (`redelivered`)
    gap         a life's next record came before an earlier one
    lost        acknowledged, or at the end appended, and never handled

The lossless ring and the lanes have to show none of these. The locked ring shows why.
"""

import argparse
import os
import random
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic, sleep

from brickwork.core.errors import BrickworkError
from brickwork.data.fabric.base import Endpoint, FabricError
from brickwork.data.fabric.secret import new_secret
from brickwork.data.fabric.shm import create_region
from brickwork.data.fabric.tcp import TcpTarget
from brickwork.data.fabric.tcp import connect as connect_tcp
from brickwork.data.inbox import Inbox, InboxFenced, InboxFull, Message, Producer, Shape, join_remote

RUNS = (("lossless", "shm"), ("lossless", "tcp"), ("lanes", "shm"), ("lanes", "tcp"), ("locked", "shm"))
"""Rings and fabrics. The locked ring only where producers take its lock themselves: over tcp the target takes it."""

PRODUCERS = 4
LOCKED_SETTLE_S = 3.0
MAX_LIVES = 1 << 16
PAUSES_S = (0.0005, 0.005, 0.05, 0.4, 1.5)
"""From shorter than any grace to longer than grace (0.1 s), lock lease (5 ms) and session lease (1 s) together."""
SESSION_LEASE_S = 1.0
QUIET_S = 60.0
"""Longest wait, on a loaded machine, for processes to end and for the rest to be handled."""

MESSAGES, REDELIVERED, TORN, TWICE, GAPS, SKIPS, WORST_WAIT_NS = range(7)
STOP_PRODUCING, STOP_CONSUMING, PORT, REGION_ID, DISTURBED = range(7, 12)
PAUSED = 16  # words of each producer's place: changed when it is stopped and when it goes on
COUNTERS = 32
HANDLED, APPENDED, ACKNOWLEDGED = (COUNTERS + MAX_LIVES * index for index in range(3))  # words of each life
POOL = random.Random(0).randbytes(1 << 16)


@dataclass(frozen=True)
class Report:
    """What a run saw.

    lost_appended    records that were appended and never handled, `lost_acknowledged` among them
    stuck            processes that could not finish afterwards, although nobody harmed them any more
    worst_wait_s     longest append of a producer that was not stopped, while the consumer was not disturbed either
    """

    messages: int
    kills: int
    pauses: int
    restarts: int
    skips: int
    redelivered: int
    torn: int
    twice: int
    gaps: int
    lost_acknowledged: int
    lost_appended: int
    stuck: int
    worst_wait_s: float

    @property
    def is_clean(self) -> bool:
        """Whether everything is as the lossless ring promises."""
        lost = self.lost_acknowledged + self.lost_appended
        return not (self.torn or self.twice or self.gaps or lost or self.stuck)


def payload_of(life: int, sequence: int) -> bytes:
    """What record `sequence` of `life` contains: 0..1999 bytes, then or before 16 that name it."""
    start = (life * 7919 + sequence * 104729) % len(POOL)
    return life.to_bytes(8, "little") + sequence.to_bytes(8, "little") + POOL[start : start + start % 2000]


class Fuzz:
    """One run: `report = Fuzz(...).run()`. Forks, so make it in a process without threads."""

    def __init__(self, seconds: float, fabric: str = "shm", ring: str = "lossless", seed: int = 1):
        self._seconds = seconds
        self._is_remote = fabric == "tcp"
        self._rng = random.Random(seed)
        self._inbox = Inbox.create(Shape(ring, 64, 2 * PRODUCERS, 16 << 10, grace_s=(0.002, 0.1)))
        self._memory = create_region(8 * (COUNTERS + 3 * MAX_LIVES))
        self._words = self._memory.view().cast("Q")  # a store through it is one instruction
        self._secret = new_secret()
        self._producers: dict[int, int] = {}  # place -> pid
        self._consumer = 0
        self._kills = self._pauses = self._restarts = self._stuck = 0
        self._settle_s = LOCKED_SETTLE_S if ring == "locked" else QUIET_S

    def run(self) -> Report:
        self._consumer = self._fork(self._consume)
        for place in range(PRODUCERS):
            self._producers[place] = self._fork(partial(self._produce, place))
        try:
            deadline_s = monotonic() + self._seconds
            while monotonic() < deadline_s:
                self._harm()
            self._settle()
            return self._report()
        finally:
            for pid in (*self._producers.values(), *([self._consumer] if self._consumer else [])):
                _end(pid)

    # The parent

    def _harm(self) -> None:
        """Kill or pause somebody, after a moment. The places of the killed are filled again."""
        sleep(self._rng.expovariate(200))
        place = self._rng.randrange(PRODUCERS)
        choice = self._rng.random()
        if choice < 0.6:
            self._kills += 1
            _end(self._producers[place])
            self._producers[place] = self._fork(partial(self._produce, place))
        elif choice < 0.9:
            self._pause(self._producers[place], PAUSED + place)
        elif choice < 0.97:
            self._restarts += 1
            self._words[DISTURBED] += 1
            _end(self._consumer)
            self._consumer = self._fork(self._consume)
        else:
            self._pause(self._consumer, DISTURBED)

    def _pause(self, pid: int, counter: int) -> None:
        """Stop it; short pauses are frequent, long ones rare, so that the run goes on meanwhile. Counted before and
        after: no append that began or ended meanwhile takes it for the inbox's fault."""
        self._pauses += 1
        self._words[counter] += 1
        os.kill(pid, signal.SIGSTOP)
        sleep(self._rng.choices(PAUSES_S, weights=(60, 30, 8, 3, 1))[0] * self._rng.uniform(0.5, 1.5))
        self._words[counter] += 1
        os.kill(pid, signal.SIGCONT)

    def _settle(self) -> None:
        """Let the living finish, and the consumer handle all that is left."""
        self._words[STOP_PRODUCING] = 1
        self._producers = {at: pid for at, pid in self._producers.items() if not _has_ended(pid, self._settle_s)}
        for pid in self._producers.values():
            _end(pid)
        self._words[STOP_CONSUMING] = 1
        self._stuck = len(self._producers)
        self._producers = {}
        if _has_ended(self._consumer, self._settle_s):
            self._consumer = 0
        else:
            self._stuck += 1

    def _report(self) -> Report:
        words = self._words
        lives = range(MAX_LIVES)
        return Report(
            messages=words[MESSAGES],
            kills=self._kills,
            pauses=self._pauses,
            restarts=self._restarts,
            skips=words[SKIPS],
            redelivered=words[REDELIVERED],
            torn=words[TORN],
            twice=words[TWICE],
            gaps=words[GAPS],
            lost_acknowledged=sum(max(0, words[ACKNOWLEDGED + life] - words[HANDLED + life]) for life in lives),
            lost_appended=sum(max(0, words[APPENDED + life] - words[HANDLED + life]) for life in lives),
            stuck=self._stuck,
            worst_wait_s=words[WORST_WAIT_NS] / 1e9,
        )

    def _fork(self, work: Callable[[], None]) -> int:
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            work()
            status = 0
        except KeyboardInterrupt:
            pass
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)

    # A producer

    def _produce(self, place: int) -> None:
        while not self._words[STOP_PRODUCING]:
            try:
                self._live(self._join(), place)
            except (FabricError, InboxFenced, InboxFull):
                sleep(0.001)  # the consumer is being started again, or gave this life up: another one

    def _join(self) -> Producer:
        if self._is_remote:
            return join_remote(self._connect(), timeout_s=QUIET_S)
        return self._inbox.join(timeout_s=QUIET_S)

    def _connect(self) -> Endpoint:
        if not (port := self._words[PORT]):
            raise InboxFull("the target is not there yet")
        return connect_tcp("127.0.0.1", port, self._words[REGION_ID], self._secret, timeout_s=QUIET_S)

    def _live(self, producer: Producer, place: int) -> None:
        """Append until told to stop. What this life knows is stored after each append."""
        life, words = producer.life, self._words
        while not words[STOP_PRODUCING]:
            undisturbed = (words[PAUSED + place], words[DISTURBED])
            start_s = monotonic()
            producer.append(payload_of(life, producer.appended), timeout_s=QUIET_S)
            waited_s = monotonic() - start_s
            words[APPENDED + life] = producer.appended
            if undisturbed == (words[PAUSED + place], words[DISTURBED]):
                words[WORST_WAIT_NS] = max(words[WORST_WAIT_NS], round(waited_s * 1e9))
            if producer.appended % 16 == 0:
                words[ACKNOWLEDGED + life] = producer.acknowledged()

    # The consumer

    def _consume(self) -> None:
        with self._inbox.consume() as consumer:
            target = self._serve() if self._is_remote else None
            self._words[DISTURBED] += 1  # a restart ends here
            skips = self._words[SKIPS]
            while True:
                messages = consumer.receive(16, timeout_s=0.02)
                for message in messages:
                    self._handle(message)
                    if message.sequence % 3 == 0:
                        consumer.acknowledge(message)
                if messages:
                    consumer.acknowledge(messages[-1])
                elif self._words[STOP_CONSUMING] and consumer.depth == 0:
                    break
                self._words[SKIPS] = skips + consumer.counters.skipped
            if target:
                target.close()

    def _serve(self) -> TcpTarget:
        target = TcpTarget(self._secret)
        self._words[REGION_ID] = target.serve(self._inbox.region, self._inbox.target(SESSION_LEASE_S))
        self._words[PORT] = target.port
        return target

    def _handle(self, message: Message) -> None:
        """Commits by the store to HANDLED; faults are counted before it."""
        words = self._words
        life = int.from_bytes(message.payload[:8], "little") if len(message.payload) >= 16 else message.life
        if message.payload != payload_of(message.life, message.sequence) or life != message.life:
            words[TORN] += 1
            return
        words[MESSAGES] += 1
        expected = words[HANDLED + life]
        if message.sequence < expected:
            words[REDELIVERED if message.redelivered else TWICE] += 1
            return
        if message.sequence > expected:
            words[GAPS] += message.sequence - expected
        words[HANDLED + life] = message.sequence + 1


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass  # it has ended, and was waited for


def _has_ended(pid: int, within_s: float) -> bool:
    """raises    BrickworkError when it ended badly"""
    deadline_s = monotonic() + within_s
    while monotonic() < deadline_s:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            if status:
                raise BrickworkError(f"A process of the fuzz ended with status {status}.")
            return True
        sleep(0.005)
    return False


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m brickwork.data.fuzz", description="Kill and pause an inbox's users."
    )
    parser.add_argument("--seconds", type=float, default=60, help="of each run")
    parser.add_argument("--fabric", choices=("shm", "tcp"))
    parser.add_argument("--ring", choices=("lossless", "lanes", "locked"))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    runs = [run for run in RUNS if options.ring in (None, run[0]) and options.fabric in (None, run[1])]
    if not runs:
        parser.error(f"the {options.ring} ring is not run over {options.fabric}")
    reports = [Fuzz(options.seconds, fabric, ring, options.seed).run() for ring, fabric in runs]
    print(f"{f'seed {options.seed}, {options.seconds:g} s':<18}" + "".join(f"{' '.join(run):>14}" for run in runs))
    for name in vars(reports[0]):
        print(f"{name:<18}" + "".join(_cell(vars(report)[name]) for report in reports))
    is_clean = all(report.is_clean for (ring, _), report in zip(runs, reports, strict=True) if ring != "locked")
    return 0 if is_clean else 1


def _cell(value: float) -> str:
    return f"{value:>14,}" if isinstance(value, int) else f"{value:>14.3f}"


if __name__ == "__main__":
    sys.exit(main())
