"""An asyncio event loop in virtual time: timers fire in order, at once, and the clock jumps to each.

What runs on it is unmodified asyncio code: tasks, sleeps, timeouts, heartbeats. Nothing may come from outside (sockets,
threads): when nothing is ready and no timer is left, whoever still waits would wait for ever, and the loop says so.

    async def main():                    run(main()) returns in milliseconds,
        await asyncio.sleep(3600)        and loop.time() has advanced by 3600 s

Timers that are due together fire in the order in which they were made. (The stock loop orders them by time alone, so
that equal runs differ; measured on a million requests.)
"""

import asyncio
import contextvars
import heapq
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any, TypeVar

T = TypeVar("T")


class Stuck(RuntimeError):
    """Everything waits and nothing will ever happen."""


class _Timer(asyncio.TimerHandle):
    """A timer that is ordered by (time, sequence)."""

    def __init__(
        self,
        when: float,
        sequence: int,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context | None,
    ):
        super().__init__(when, callback, args, loop, context)
        self.sequence = sequence

    def __lt__(self, other: Any) -> bool:
        return bool((self.when(), self.sequence) < (other.when(), other.sequence))


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. Leans on private names of CPython's BaseEventLoop, `_ready` and `_scheduled`; a test guards them."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._sequence = count()

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now_s

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = _Timer(max(when, self._now_s), next(self._sequence), callback, args, self, context)
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def _run_once(self) -> None:
        """Run what is ready; when nothing is, jump to the next timer and make it ready."""
        ready, timers = self._ready, self._scheduled  # type: ignore[attr-defined]
        while timers and not ready:
            timer = heapq.heappop(timers)
            timer._scheduled = False
            if not timer.cancelled():
                self._now_s = timer.when()
                ready.append(timer)
        if not ready:
            raise Stuck(f"nothing is left to happen at {self._now_s:.3f} s, and somebody waits")
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time. raises Stuck when it waits for something that will never come"""
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    finally:
        asyncio.set_event_loop(None)
        loop.close()
