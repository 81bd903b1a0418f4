"""The one gate before a disk that fails: who must write waits behind it, who asks for new work is told why not.

    a write fails -> told(): closed, logged, /readyz says 503 -> probe, probe, ... -> open: what waits is repeated

A write fails in the job store, in a request handler, or in an executor (whose result then carries the error instead of
a picture). What was promised to somebody is never given up, so attempts have no number, only pauses that grow to a
bound; nothing piles up meanwhile, because no new job is taken while the gate is closed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from brickwork.store.errors import StoreError

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE_S = 0.1

MAX_PAUSE_S = 5.0
"""Between attempts at one write, which doubles from FIRST_PAUSE_S: it may be all of a job's work that is repeated."""

MAX_PROBE_PAUSE_S = 1.0
"""Between probes, likewise; a server takes jobs again so long after the cause is gone, at most."""


class Storage:
    """Whether the state directory can be written, as far as is known. Use from one event loop.

    probe    writes something for a trial; raises StoreError
    count    is called at each failure
    """

    def __init__(self, probe: Callable[[], Awaitable[None]], count: Callable[[], None]):
        self._probe = probe
        self._count = count
        self._logged: set[str] = set()  # during this outage
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._watching: asyncio.Task[None] | None = None
        self.refusal = ""  # why no job is taken now; "" while the storage is not known to fail

    def told(self, error: StoreError) -> None:
        """A write has failed: close the gate until a probe succeeds."""
        self._count()
        self._note(error)
        if self._is_open.is_set():
            self._is_open.clear()
            self._watching = asyncio.ensure_future(self._watch())

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Tell of a StoreError that passes through."""
        try:
            yield
        except StoreError as error:
            self.told(error)
            raise

    async def insist(self, write: Callable[[], Awaitable[T]], hold: Callable[[str], None] = lambda _: None) -> T:
        """Repeat a write until the storage takes it: somebody was promised it.

        hold    is told why it waits, and "" when it goes on
        """
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await write()
            except StoreError as error:
                self.told(error)
                hold(str(error))
            await asyncio.sleep(pause_s)
            await self._is_open.wait()
            hold("")
            pause_s = min(MAX_PAUSE_S, 2 * pause_s)

    async def close(self) -> None:
        """Stop probing."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not await self._is_writable():
            await asyncio.sleep(pause_s)
            pause_s = min(MAX_PROBE_PAUSE_S, 2 * pause_s)
        log.warning("The state directory can be written; what waited for it goes on.")
        self.refusal = ""
        self._logged.clear()
        self._is_open.set()

    async def _is_writable(self) -> bool:
        try:
            await self._probe()
        except StoreError as error:
            self._note(error)
            return False
        return True

    def _note(self, error: StoreError) -> None:
        self.refusal = str(error)
        if error.cause not in self._logged:  # once an outage, however many wait for its end
            self._logged.add(error.cause)
            log.error("%s No job is taken until then; acknowledged ones wait.", error)
