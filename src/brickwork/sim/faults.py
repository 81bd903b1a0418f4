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


def crash_storm(slots: Sequence[str], count: int, duration_s: float, rejoin_after_s: float, seed: int) -> list[Crash]:
    """`count` crashes of random slots at random times of the first `duration_s` seconds, in order of time."""
    random = Random(f"crashes {seed}")
    times_s = sorted(random.uniform(0.0, duration_s) for _ in range(count))
    return [Crash(time_s, random.choice(slots), rejoin_after_s) for time_s in times_s]
