"""The job store of one server: SQLite in a state directory, with the promises of `jobs.JobStore`.

    state directory/
        lock            one server at a time (`lock.py`)
        jobs.sqlite     write-ahead log, flushed at every commit (synchronous=FULL)

One thread writes (`writer.py`), others read (`readers.py`); what they do is in `statements.py`.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType

from brickwork.store import statements
from brickwork.store.artifacts import ArtifactKey
from brickwork.store.errors import of_sqlite
from brickwork.store.jobs import CALLERS_KINDS, MAX_PAGE, Created, Job, JobError, JobId, LogEntry, LogKind, Value
from brickwork.store.lock import DirectoryLock
from brickwork.store.migrate import migrate, shipped_migrations
from brickwork.store.pending import Pending
from brickwork.store.readers import Readers
from brickwork.store.states import TERMINAL, JobState
from brickwork.store.writer import Writer

BUSY_TIMEOUT_S = 5.0
"""How long a transaction waits for a program outside (a backup, say) that holds the database locked."""


VFS = "unix-excl"
"""SQLite's way to the file for the threads of one process: the index of the write-ahead log lies on the heap, not in
a mapped file. Touching a mapped file on a disk that turned read-only is SIGBUS, the server's end; this way a write
fails and a later one succeeds. Other programs find the database locked while the server runs."""


class SqliteJobStore:
    """A JobStore in `directory`, which is made if need be and locked until `close`. Also a context manager.

    raises    StateDirectoryInUse when another server works there; StoreError when the directory cannot be written,
              or the database is damaged or of a newer brickwork
    """

    def __init__(self, directory: Path):
        self.path = directory / "jobs.sqlite"
        self._lock = DirectoryLock(directory)
        try:
            self._migrate()
        except BaseException:
            self._lock.release()
            raise
        self._is_closed = False
        self._writer = Writer(self.path, self._connect)
        self._readers = Readers(self.path, self._connect_to_read)

    def new_epoch(self, now_s: float) -> Pending[int]:
        return self._writer.write(partial(statements.new_epoch, now_s=now_s))

    def create(self, job: Job) -> Pending[Created]:
        if (
            replace(job, state=JobState.QUEUED, attempt=0, started_s=None, finished_s=None, error=None, results=())
            != job
        ):
            raise ValueError(f"{job.id}: a job is created before it has run; leave the fields from `state` on alone.")
        return self._writer.write(partial(statements.create, job=job))

    def start(
        self, job_id: JobId, attempt: int, epoch: int, now_s: float, lowered: tuple[tuple[str, Value], ...] = ()
    ) -> Pending[bool]:
        return self._writer.write(lambda db: statements.start(db, job_id, attempt, epoch, now_s, lowered))

    def finish(
        self,
        job_id: JobId,
        attempt: int,
        epoch: int,
        state: JobState,
        now_s: float,
        results: tuple[tuple[str, Value], ...] = (),
        error: JobError | None = None,
    ) -> Pending[bool]:
        if state not in TERMINAL:
            raise ValueError(f"{job_id}: {state} is no end; expected one of {', '.join(sorted(TERMINAL))}.")
        if results and state is not JobState.SUCCEEDED:
            raise ValueError(f"{job_id}: a job that ends as {state} has no results.")
        return self._writer.write(
            lambda db: statements.finish(db, job_id, attempt, epoch, state, now_s, results, error)
        )

    def request_cancel(self, job_id: JobId, now_s: float) -> Pending[Job]:
        return self._writer.write(lambda db: statements.request_cancel(db, job_id, now_s))

    def get(self, job_id: JobId) -> Pending[Job]:
        return self._readers.ask(lambda db: statements.get(db, job_id))

    def list(
        self,
        tenant: str | None = None,
        state: JobState | None = None,
        after: JobId | None = None,
        limit: int = 100,
    ) -> Pending[tuple[Job, ...]]:
        if not 1 <= limit <= MAX_PAGE:
            raise ValueError(f"limit: expected 1 to {MAX_PAGE}, got {limit}.")
        return self._readers.ask(lambda db: statements.page(db, tenant, state, after, limit))

    def unfinished(self) -> Pending[tuple[Job, ...]]:
        return self._readers.ask(statements.unfinished)

    def append_log(
        self, kind: LogKind, now_s: float, data: Mapping[str, object], job_id: JobId | None = None
    ) -> Pending[None]:
        if kind not in CALLERS_KINDS:
            raise ValueError(f"{kind}: the store writes such entries itself; expected {' or '.join(CALLERS_KINDS)}.")
        return self._writer.write(lambda db: statements.append_log(db, kind, now_s, data, job_id))

    def log(self, job_id: JobId | None = None) -> Pending[tuple[LogEntry, ...]]:
        return self._readers.ask(lambda db: statements.log(db, job_id))

    def artifacts(self) -> Pending[frozenset[ArtifactKey]]:
        return self._readers.ask(statements.artifacts)

    def probe(self) -> Pending[None]:
        return self._writer.write(statements.probe)

    def forget(self, before_s: float) -> Pending[int]:
        return self._writer.write(lambda db: statements.forget(db, before_s))

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._readers.close()
            self._writer.close()
            self._lock.release()

    def __enter__(self) -> "SqliteJobStore":
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _migrate(self) -> None:
        try:
            db = self._connect()
            try:
                migrate(db, self.path, shipped_migrations())
            finally:
                db.close()
        except sqlite3.Error as error:
            raise of_sqlite(self.path, error) from error

    def _connect(self) -> sqlite3.Connection:
        db = self._connect_to_read()
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        return db

    def _connect_to_read(self) -> sqlite3.Connection:
        # Connections are closed by a thread that did not open them; none is used by two at a time.
        uri = f"{self.path.absolute().as_uri()}?vfs={VFS}"
        return sqlite3.connect(uri, BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, uri=True)
