"""Policy: over how many devices is a task spread?

The smallest device time that meets the deadline. Devices that would idle may be given beyond that: any that make the
task clearly faster while nothing else waits, and otherwise only those that are used well. What is given here is taken
back at a step boundary when load returns (`preemption.py`), so there is no reason to hold devices in reserve.

    one device 2.0 s, two 1.1 s (efficiency 0.91), four 0.7 s (0.71), deadline in 1.5 s
    something waits for devices    two: the least device time that is in time
    nothing waits, four idle       four
    deadline in 3 s, others wait   two: it is used well, 0.91 >= 0.8
"""

from collections.abc import Sequence

from brickwork.core.batch import Layout
from brickwork.core.record import record

MIN_EFFICIENCY = 0.8
"""Share of the devices' time that must not be lost to the spreading while others wait. From TridentServe."""

MIN_SPEEDUP = 1.1
"""A wider layout is worth its checkpoint and its gang only if it is so much faster than the next narrower one."""


@record(frozen=True, slots=True)
class Choice:
    """One layout that is possible now."""

    layout: Layout
    start_s: float  # until all its devices hold what they need, seconds from now
    run_s: float  # from there to the end of the task

    @property
    def finish_s(self) -> float:
        return self.start_s + self.run_s

    @property
    def device_s(self) -> float:
        """Device seconds it takes."""
        return self.layout.devices * self.finish_s


@record(frozen=True, slots=True)
class SpreadView:
    """A task that is about to start on an executor, alone."""

    slack_s: float | None  # seconds from now within which the task has to end; None: no deadline
    others_wait: bool  # something else is ready and would take idle devices
    choices: Sequence[Choice]  # by number of devices, rising; the first is one device


def spread_by_least_device_time(view: SpreadView) -> Layout:
    """The layout to run the task with.

    source    TetriServe (least device time that meets the deadline), TridentServe (efficiency gate)
    """
    whole = view.choices[0]
    chosen = whole
    if view.slack_s is not None:
        in_time = [choice for choice in view.choices if choice.finish_s <= view.slack_s]
        chosen = min(in_time, key=lambda choice: choice.device_s, default=whole)
    for choice in view.choices:
        if choice.layout.devices <= chosen.layout.devices or chosen.finish_s < MIN_SPEEDUP * choice.finish_s:
            continue
        if not view.others_wait or whole.device_s >= MIN_EFFICIENCY * choice.device_s:
            chosen = choice
    return chosen.layout


def spread_never(view: SpreadView) -> Layout:
    """One device a task."""
    return view.choices[0].layout
