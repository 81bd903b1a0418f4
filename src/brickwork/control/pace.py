"""How far the rows of a running batch are, by prediction: control hears of single steps only when something ends.

Rows take steps together; a step's time depends on how many there are. So between two changes of the roster (a row
joins, ends or yields) the state is: how many steps each row had left at a time, and the time. Moving on is replaying:

    at 10.0 s   a 4 left, b 6 left; a step of two rows takes 0.1 s, of one 0.06 s
    at 10.25 s  2.5 steps were taken: a 1.5, b 3.5
    the end     10.4 (a ends) + 2 x 0.06 = 10.52 s
"""

from collections.abc import Callable
from dataclasses import dataclass

from brickwork.core.ids import TaskId


@dataclass(slots=True)
class Pace:
    """Predicted progress of a batch in its loop."""

    as_of_s: float  # may lie ahead: the batch begins then
    left: dict[TaskId, float]  # steps to take from then on; rows that should have ended are not in it
    step_s: Callable[[int], float]  # seconds of one step by number of rows
    rest_s: float  # what a task still does after its last step

    def advance(self, now_s: float) -> None:
        """Let the steps pass that should have been taken by `now_s`."""
        passing_s = now_s - self.as_of_s
        if passing_s <= 0.0:
            return
        self.as_of_s = now_s
        while self.left and passing_s > 0.0:
            one_s, steps = self.step_s(len(self.left)), min(self.left.values())
            if steps * one_s > passing_s:
                steps = passing_s / one_s
                passing_s = 0.0  # and not what rounding leaves of it, which might never come to an end
            else:
                passing_s -= steps * one_s
            self.left = {task: left - steps for task, left in self.left.items() if left > steps}

    def boundary_s(self, now_s: float) -> float:
        """Seconds from `now_s` until the step that runs is over."""
        self.advance(now_s)
        step_s = self.step_s(max(1, len(self.left)))
        if self.as_of_s > now_s or not self.left:
            return max(0.0, self.as_of_s - now_s) + step_s
        return min(self.left.values()) % 1.0 * step_s

    def end_s(self) -> float:
        """When the last row ends."""
        return self._replay(sorted(self.left.values()))[-1] if self.left else self.as_of_s + self.rest_s

    def ends_with_s(self, steps: float) -> tuple[float, float]:
        """When another row that joins now with `steps` to take would end, and when the last row would then."""
        left = sorted([*self.left.values(), steps])
        ends_s = self._replay(left)
        return ends_s[left.index(steps)], ends_s[-1]

    def _replay(self, left: list[float]) -> list[float]:
        """When rows with so many steps left end, given that the list rises."""
        at_s, done, ends_s = self.as_of_s + self.rest_s, 0.0, []
        for k, steps in enumerate(left):
            at_s += (steps - done) * self.step_s(len(left) - k)
            done = steps
            ends_s.append(at_s)
        return ends_s
