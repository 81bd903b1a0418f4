"""Threads that answer questions, each on a connection of its own, while the writer writes (WAL allows both)."""

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from brickwork.store.errors import StoreError, of_sqlite
from brickwork.store.pending import Pending

T = TypeVar("T")

READERS = 2
"""So that a long question (every artifact) does not hold up the short ones."""


class Readers:
    """Answers questions about what is committed, until `close`.

    path        the database, for messages
    connect     opens a connection; it is used in one thread and closed in another
    """

    def __init__(self, path: Path, connect: Callable[[], sqlite3.Connection]):
        self._path = path
        self._connect = connect
        self._own = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(READERS, "brickwork-store-reader")

    def ask(self, question: Callable[[sqlite3.Connection], T]) -> Pending[T]:
        """Order an answer. Does not block."""
        pending: Pending[T] = Pending()
        try:
            self._pool.submit(self._answer, question, pending)
        except RuntimeError:  # what a pool that was shut down raises
            pending.set_exception(StoreError(self._path, "the job store is closed", "Start the server again."))
        return pending

    def close(self) -> None:
        """Answer what was asked and end the threads. Idempotent."""
        self._pool.shutdown()
        while self._opened:
            self._opened.pop().close()

    def _answer(self, question: Callable[[sqlite3.Connection], T], pending: Pending[T]) -> None:
        try:
            answer = question(self._connection())
        except sqlite3.Error as error:
            self._drop()
            pending.set_exception(of_sqlite(self._path, error))
        except Exception as error:
            pending.set_exception(error)
        else:
            pending.set_result(answer)

    def _connection(self) -> sqlite3.Connection:
        if getattr(self._own, "db", None) is None:
            self._own.db = self._connect()
            self._opened.append(self._own.db)
        return self._own.db  # type: ignore[no-any-return]

    def _drop(self) -> None:
        db, self._own.db = getattr(self._own, "db", None), None
        if db is not None:
            self._opened.remove(db)
            with suppress(sqlite3.Error):
                db.close()
