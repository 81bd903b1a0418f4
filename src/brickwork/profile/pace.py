"""How long one step of a loop takes under a layout: the one formula that control's estimates and the simulator share.

step, whole                 base + ControlNet, one after the other on one device
step, degree 2              both calls shared by two devices (rows of guidance, or the sequence)
step, ControlNet apart      the longer of the two: the base needs the residuals only in its later blocks
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from brickwork.core.batch import Layout


class StepWork(Protocol):
    """What is read of a piece of work: compiler.instance.ConcreteWork has it."""

    @property
    def key(self) -> str: ...
    @property
    def shape(self) -> str: ...
    @property
    def rows(self) -> int: ...
    @property
    def is_step(self) -> bool: ...


CallSeconds = Callable[[str, str, int, int], float]
"""Seconds of one call by (key, shape, rows, degree)."""


def step_s(works: Iterable[StepWork], count: int, layout: Layout, call_s: CallSeconds) -> float:
    """Seconds of one step of `count` equal rows.

    works     of one row; only those that stand in the loop count
    """
    base_s = apart_s = 0.0
    for work in works:
        if not work.is_step:
            continue
        if work.key in layout.apart:
            apart_s += call_s(work.key, work.shape, work.rows * count, 1)
        else:
            base_s += call_s(work.key, work.shape, work.rows * count, layout.degree)
    return max(base_s, apart_s)
