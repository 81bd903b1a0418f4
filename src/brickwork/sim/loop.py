"""Virtual time: a heap of things to do, ordered by (time, sequence), so that simultaneous ones keep their order."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count


class Loop:
    """Runs calls at virtual times. `now_s` is the time of the call that runs."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = count()

    def after(self, delay_s: float, call: Callable[[], None]) -> None:
        """Run `call` once `delay_s` >= 0 seconds have passed."""
        assert delay_s >= 0.0, f"a call {delay_s} s in the past"
        heappush(self._heap, (self.now_s + delay_s, next(self._sequence), call))

    def run(self, max_calls: int) -> None:
        """Run until nothing is left to do.

        raises    RuntimeError after `max_calls` calls: what is simulated goes on for ever
        """
        for _ in range(max_calls):
            if not self._heap:
                return
            self.now_s, _, call = heappop(self._heap)
            call()
        raise RuntimeError(f"{max_calls} calls did not bring the simulation to an end at {self.now_s:.3f} s.")
