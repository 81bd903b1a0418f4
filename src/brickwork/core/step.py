"""Which rows of a denoise batch take part in the next step: the one rule that executor and simulator share.

A row is one request's place in a running batch. Rows stand at steps of their own; a row that has taken its last
step, or that was told to stop, sits the next one out and leaves.
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar


class HasSteps(Protocol):
    step: int
    stop: int
    is_stopped: bool


@dataclass(slots=True)
class Row:
    """Place of one request in a step loop: steps from `step` up to, not including, `stop` are still to do."""

    step: int
    stop: int
    is_stopped: bool = False


R = TypeVar("R", bound=HasSteps)


def step_batch(roster: list[R]) -> list[R]:
    """The rows of `roster` that join the next step, in roster order; empty when the loop is over."""
    return [row for row in roster if row.step < row.stop and not row.is_stopped]
