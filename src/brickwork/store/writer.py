"""The one thread that changes the database, many changes to a disk flush (group commit).

    callers --write()--> queue --up to MAX_BATCH--> BEGIN, change, change, ..., COMMIT --> answers

While one transaction is being flushed the next one's changes gather in the queue, so the flush's time is shared by
all who wait, and nobody waits for company. An answer is given only after COMMIT. A change that is refused (an unknown
job, say) is undone alone; when the storage fails, all of the transaction fail, the connection is dropped, and the next
transaction begins with a new one.
"""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from brickwork.store.errors import StoreError, of_sqlite
from brickwork.store.pending import Pending

T = TypeVar("T")

MAX_BATCH = 512
"""Most changes in one transaction: some 20 ms of work, so that the first of them does not wait long for the last."""

MAX_WAITING = 20_000
"""Most changes that may wait, less than a second of work; more means that the disk hangs, and they are refused."""

_OWN_FAULTS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError)
"""Errors of SQLite that blame one statement, not the storage."""


@dataclass(frozen=True, slots=True)
class _Write(Generic[T]):
    change: Callable[[sqlite3.Connection], T]
    pending: Pending[T]


class Writer:
    """Commits changes in the order of `write`, until `close`.

    path        the database, for messages
    connect     opens a connection that begins no transactions by itself
    """

    def __init__(self, path: Path, connect: Callable[[], sqlite3.Connection]):
        self._path = path
        self._connect = connect
        self._db: sqlite3.Connection | None = None
        self._queue: SimpleQueue[_Write[Any] | None] = SimpleQueue()  # None: nothing comes after
        self._gate = threading.Lock()  # so that nothing is queued behind None
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="brickwork-store-writer", daemon=True)
        self._thread.start()

    def write(self, change: Callable[[sqlite3.Connection], T]) -> Pending[T]:
        """Order a change; its answer comes when it is on disk. Does not block."""
        pending: Pending[T] = Pending()
        with self._gate:
            refusal = self._refusal()
            if refusal is None:
                self._queue.put(_Write(change, pending))
        if refusal is not None:
            pending.set_exception(refusal)
        return pending

    def close(self) -> None:
        """Commit what was ordered and end the thread. Idempotent."""
        with self._gate:
            if not self._is_closed:
                self._is_closed = True
                self._queue.put(None)
        self._thread.join()

    def _refusal(self) -> StoreError | None:
        if self._is_closed:
            return StoreError(self._path, "the job store is closed", "Start the server again.")
        if self._queue.qsize() >= MAX_WAITING:
            return StoreError(self._path, f"{MAX_WAITING} changes wait for the disk", "Try again later.")
        return None

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch = [self._queue.get()]
            while len(batch) < MAX_BATCH and not self._queue.empty():
                batch.append(self._queue.get())
            is_open = batch[-1] is not None
            self._commit([write for write in batch if write is not None])
        self._drop()

    def _commit(self, batch: list[_Write[Any]]) -> None:
        try:
            if self._db is None:
                self._db = self._connect()
            self._db.execute("BEGIN IMMEDIATE")
            answers = [_attempt(self._db, write.change) for write in batch]
            self._db.execute("COMMIT")
        except Exception as error:  # whatever it is, the thread lives on and nobody waits for ever
            self._drop()
            for write in batch:
                write.pending.set_exception(_told(self._path, error))
            return
        for write, (answer, refusal) in zip(batch, answers, strict=True):
            if refusal is not None:
                write.pending.set_exception(refusal)
            else:
                write.pending.set_result(answer)

    def _drop(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()  # an open transaction is rolled back
            self._db = None


def _told(path: Path, error: Exception) -> Exception:
    """What a waiter is told: an exception of its own, for waiters raise it in threads of their own."""
    return of_sqlite(path, error) if isinstance(error, sqlite3.Error) else error


def _attempt(db: sqlite3.Connection, change: Callable[[sqlite3.Connection], T]) -> tuple[T | None, Exception | None]:
    """Make one change, or undo it and say why.

    raises    sqlite3.Error when the storage fails
    """
    refused: Exception
    db.execute("SAVEPOINT change")
    try:
        answer = change(db)
    except Exception as error:
        if isinstance(error, sqlite3.Error) and not isinstance(error, _OWN_FAULTS):
            raise
        refused = error
    else:
        db.execute("RELEASE change")
        return answer, None
    db.execute("ROLLBACK TO change")
    db.execute("RELEASE change")
    return None, refused
