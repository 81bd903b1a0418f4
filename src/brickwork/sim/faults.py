"""What goes wrong when, as plain data that can be printed with a failing run."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Crash:
    """The process in a slot dies; a new life joins later."""

    time_s: float
    slot: str
    rejoin_after_s: float | None  # None: never


@dataclass(frozen=True, slots=True)
class Slowdown:
    """A slot computes `factor` times slower for a while."""

    time_s: float
    slot: str
    factor: float
    for_s: float


@dataclass(frozen=True, slots=True)
class Partition:
    """No message passes between the coordinator and some slots; what was sent arrives afterwards, in order."""

    time_s: float
    slots: tuple[str, ...]
    for_s: float


@dataclass(frozen=True, slots=True)
class BadMessages:
    """Each message has these chances. Links acknowledge and keep order, so a lost one arrives late and holds up those
    behind it; a repeated one is an event that control hears twice."""

    lost: float = 0.0
    late: float = 0.0
    repeated: float = 0.0
    resend_s: float = 1.0
    late_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Takeover:
    """The coordinator dies and its executors with it; after a while another one starts all that was accepted anew.
    Requests that arrive meanwhile find nobody: they are refused."""

    time_s: float
    back_after_s: float


Fault = Crash | Slowdown | Partition | BadMessages | Takeover


def crash_storm(slots: Sequence[str], count: int, duration_s: float, rejoin_after_s: float, seed: int) -> list[Crash]:
    """`count` crashes of random slots at random times of the first `duration_s` seconds, in order of time."""
    random = Random(f"crashes {seed}")
    times_s = sorted(random.uniform(0.0, duration_s) for _ in range(count))
    return [Crash(time_s, random.choice(slots), rejoin_after_s) for time_s in times_s]
