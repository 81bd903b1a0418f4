"""Virtual time: a heap of things to do, ordered by (time, sequence), so that simultaneous ones keep their order."""

import gc
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVarTuple

RARELY = 1_000_000
"""Objects made and not freed after which cycles are looked for: more than belong to the requests in flight, which would
all be gone through again and again. Python's own 700 take a sixth of the time."""

Ts = TypeVarTuple("Ts")


class Loop:
    """Runs calls at virtual times. `now_s` is the time of the call that runs."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._sequence = count()

    def after(self, delay_s: float, call: Callable[[*Ts], None], *args: *Ts) -> None:
        """Run `call(*args)` once `delay_s` >= 0 seconds have passed."""
        assert delay_s >= 0.0, f"a call {delay_s} s in the past"
        heappush(self._heap, (self.now_s + delay_s, next(self._sequence), call, args))

    def run(self, max_calls: int) -> None:
        """Run until nothing is left to do.

        raises    RuntimeError after `max_calls` calls: what is simulated goes on for ever
        """
        heap, thresholds = self._heap, gc.get_threshold()
        gc.set_threshold(RARELY, *thresholds[1:])
        try:
            for _ in range(max_calls):
                if not heap:
                    return
                self.now_s, _, call, args = heappop(heap)
                call(*args)
        finally:
            gc.set_threshold(*thresholds)
        raise RuntimeError(f"{max_calls} calls did not bring the simulation to an end at {self.now_s:.3f} s.")
