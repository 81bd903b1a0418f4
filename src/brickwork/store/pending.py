"""The answer of a store that is on its way: waited for with `await` in asyncio, with `.result()` in a thread."""

import asyncio
from collections.abc import Generator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Pending(Future[T]):
    """An operation that has been ordered. It is carried out whatever becomes of the waiter: cancelling a task that
    awaits it stops the waiting, not the operation."""

    def __init__(self) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.wrap_future(self).__await__()
