"""What happens to one job, as a bounded ring of numbered events that any number of readers follow at their own pace.

A reader holds only a number: the last event it has seen. So a slow reader costs nothing, and a reader that comes back
goes on where it was. One that asks for what the ring no longer holds (or for events of an earlier server) gets a
snapshot of the job instead, which contains the sum of all that it missed.

```
     first                       last
       |                          |
       v                          v
    [ 41  42  43  ...  ...  ...  97 ]  <- add()
           ^                      ^
       slow reader           fast reader
```
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

MAX_EVENTS = 512
"""A job of four tasks and fifty steps sends some sixty."""

MAX_BYTES = 256 * 1024
"""Of data in one ring: previews are the bulk of it, some 3 kB each for 64x64 pixels."""


@dataclass(frozen=True, slots=True)
class Event:
    """One happening. `id` orders the events of a job within one life of the server: `7.12` is the 12th of life 7."""

    id: str
    kind: str  # "snapshot" | "state" | "progress" | "preview" | "result"
    data: str  # JSON

    def sse(self) -> str:
        return f"id: {self.id}\nevent: {self.kind}\ndata: {self.data}\n\n"


class Feed:
    """The events of one job. Use from one event loop."""

    def __init__(self, life: int):
        self._life = life
        self._ring: deque[Event] = deque()
        self._bytes = 0
        self._last = 0
        self._is_over = False
        self._changed = asyncio.Event()
        self.progress: dict[str, dict[str, int]] = {}  # by task: step, steps

    def add(self, kind: str, data: dict[str, Any]) -> None:
        """Append an event; the oldest ones leave when the ring is full."""
        self._last += 1
        event = Event(f"{self._life}.{self._last}", kind, json.dumps(data, separators=(",", ":")))
        self._ring.append(event)
        self._bytes += len(event.data)
        while len(self._ring) > MAX_EVENTS or (self._bytes > MAX_BYTES and len(self._ring) > 1):
            self._bytes -= len(self._ring.popleft().data)
        self._wake()

    def end(self) -> None:
        """No event will follow; readers end once they have seen the last."""
        self._is_over = True
        self._wake()

    async def follow(
        self,
        seen: str | None,
        snapshot: Callable[[], Awaitable[dict[str, Any]]],
        patience_s: float,
    ) -> AsyncIterator[Event | None]:
        """All events after `seen`, as they come; None whenever nothing came for `patience_s`.

        seen        id of the last event that the reader has; None: it has nothing
        snapshot    the job as it is now; sent first to readers for whom the ring does not begin early enough
        """
        at = self._number(seen)
        while True:
            if at is None or at < self._first() - 1:
                at = self._last
                data = await snapshot()
                yield Event(f"{self._life}.{at}", "snapshot", json.dumps(data, separators=(",", ":")))
            elif at < self._last:
                event = self._ring[at - self._last]  # counted from the newest
                at += 1
                yield event
            elif self._is_over:
                return
            elif not await self._change(patience_s):
                yield None

    def _first(self) -> int:
        """Number of the oldest event in the ring."""
        return self._last - len(self._ring) + 1

    def _number(self, seen: str | None) -> int | None:
        """The number in an event id of this life, else None."""
        life, _, number = (seen or "").partition(".")
        if not (life.isascii() and life.isdigit() and number.isascii() and number.isdigit() and len(seen or "") < 40):
            return None
        return int(number) if int(life) == self._life and int(number) <= self._last else None

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _change(self, patience_s: float) -> bool:
        try:
            await asyncio.wait_for(self._changed.wait(), patience_s)
        except TimeoutError:
            return False
        return True
