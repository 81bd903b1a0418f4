"""The operations of a job store as plain functions on a SQLite connection.

The changing ones run inside a transaction that their caller commits; they first look, then write, and nobody writes
in between. What they promise is told in `jobs.JobStore`.
"""

import sqlite3
from collections.abc import Mapping

from brickwork.store.artifacts import ArtifactKey
from brickwork.store.errors import IdempotencyKeyReused, JobExists, StaleEpoch, UnknownJob
from brickwork.store.jobs import (
    KEY_LIFE_S,
    MAX_FORGET,
    Created,
    Idempotency,
    Job,
    JobError,
    JobId,
    LogEntry,
    LogKind,
    Value,
)
from brickwork.store.rows import COLUMNS, encode, encode_data, entry_of, job_of, row_of
from brickwork.store.states import CANCELS, TERMINAL, JobState, check_move

_SELECT = f"SELECT {', '.join(COLUMNS)} FROM jobs"
_INSERT = f"INSERT INTO jobs ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"


# Changes -------------------------------------------------------------------------------------------------------------


def new_epoch(db: sqlite3.Connection, now_s: float) -> int:
    db.execute("UPDATE leader SET epoch = epoch + 1")
    epoch = _epoch(db)
    db.execute("UPDATE jobs SET epoch = ? WHERE finished_s IS NULL", (epoch,))
    db.execute("UPDATE jobs SET state = 'queued', started_s = NULL WHERE finished_s IS NULL AND state = 'running'")
    _log(db, None, now_s, LogKind.TAKEN_OVER, {"epoch": epoch})
    return epoch


def create(db: sqlite3.Connection, job: Job) -> Created:
    if job.epoch != (epoch := _epoch(db)):
        raise StaleEpoch(f"{job.id}: its server has epoch {job.epoch}, but epoch {epoch} has begun; start it again.")
    if job.idempotency is not None:
        first = _holder(db, job, job.idempotency)
        if first is not None:
            return Created(first, is_replay=True)
    try:
        sequence = db.execute(_INSERT, row_of(job)).lastrowid
    except sqlite3.IntegrityError:
        raise JobExists(f"{job.id}: a job of this id exists; choose another id.") from None
    _log(db, sequence, job.created_s, LogKind.ACCEPTED, {"epoch": job.epoch})
    return Created(job, is_replay=False)


def start(
    db: sqlite3.Connection,
    job_id: JobId,
    attempt: int,
    epoch: int,
    now_s: float,
    lowered: tuple[tuple[str, Value], ...],
) -> bool:
    sequence = _claim(db, job_id, attempt - 1, epoch, JobState.RUNNING)
    if sequence is None:
        return False
    db.execute(
        "UPDATE jobs SET state = 'running', attempt = ?, started_s = ?, lowered = ? WHERE sequence = ?",
        (attempt, now_s, encode(lowered), sequence),
    )
    _log(db, sequence, now_s, LogKind.STARTED, {"attempt": attempt, "epoch": epoch})
    return True


def finish(
    db: sqlite3.Connection,
    job_id: JobId,
    attempt: int,
    epoch: int,
    state: JobState,
    now_s: float,
    results: tuple[tuple[str, Value], ...],
    error: JobError | None,
) -> bool:
    sequence = _claim(db, job_id, attempt, epoch, state)
    if sequence is None:
        return False
    code, message = (error.code, error.message) if error else (None, None)
    db.execute(
        "UPDATE jobs SET state = ?, finished_s = ?, results = ?, error_code = ?, error_message = ? WHERE sequence = ?",
        (state, now_s, encode(results), code, message, sequence),
    )
    if state is JobState.REJECTED:
        _give_back_key(db, sequence)
    artifacts = {name: value for name, value in results if isinstance(value, ArtifactKey)}
    ended = {"state": state, "attempt": attempt, "epoch": epoch, "artifacts": artifacts}
    _log(db, sequence, now_s, LogKind.ENDED, ended)
    return True


def request_cancel(db: sqlite3.Connection, job_id: JobId, now_s: float) -> Job:
    sequence, state, attempt, epoch = _standing(db, job_id)
    if state in CANCELS:
        check_move(job_id, state, target := CANCELS[state])
        if target in TERMINAL:
            finish(db, job_id, attempt, epoch, target, now_s, (), None)
        else:
            db.execute("UPDATE jobs SET state = ? WHERE sequence = ?", (target, sequence))
    return get(db, job_id)


def append_log(
    db: sqlite3.Connection, kind: LogKind, now_s: float, data: Mapping[str, object], job_id: JobId | None
) -> None:
    sequence = None if job_id is None else _standing(db, job_id)[0]
    _log(db, sequence, now_s, kind, data)


def probe(db: sqlite3.Connection) -> None:
    """Its pages are written although their content ends as it began."""
    db.execute("INSERT INTO log (at_s, kind, data) VALUES (0, 'probe', '{}')")
    db.execute("DELETE FROM log WHERE kind = 'probe'")


def forget(db: sqlite3.Connection, before_s: float) -> int:
    old = "SELECT sequence FROM jobs WHERE finished_s < ? ORDER BY finished_s LIMIT ?"
    gone = db.execute(f"DELETE FROM jobs WHERE sequence IN ({old})", (before_s, MAX_FORGET)).rowcount
    latest = "SELECT MAX(sequence) FROM log WHERE job IS NULL GROUP BY kind"
    db.execute(f"DELETE FROM log WHERE job IS NULL AND at_s < ? AND sequence NOT IN ({latest})", (before_s,))
    return gone


# Questions -----------------------------------------------------------------------------------------------------------


def get(db: sqlite3.Connection, job_id: JobId) -> Job:
    row = db.execute(f"{_SELECT} WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        raise _unknown(job_id)
    return job_of(row)


def page(
    db: sqlite3.Connection, tenant: str | None, state: JobState | None, after: JobId | None, limit: int
) -> tuple[Job, ...]:
    below = None if after is None else _standing(db, after)[0]
    wanted = {"tenant = ?": tenant, "state = ?": state, "sequence < ?": below}
    given = {condition: value for condition, value in wanted.items() if value is not None}
    where = f"WHERE {' AND '.join(given)}" if given else ""
    rows = db.execute(f"{_SELECT} {where} ORDER BY sequence DESC LIMIT ?", (*given.values(), limit))
    return tuple(map(job_of, rows))


def unfinished(db: sqlite3.Connection) -> tuple[Job, ...]:
    return tuple(map(job_of, db.execute(f"{_SELECT} WHERE finished_s IS NULL ORDER BY sequence")))


def log(db: sqlite3.Connection, job_id: JobId | None) -> tuple[LogEntry, ...]:
    sequence = None if job_id is None else _standing(db, job_id)[0]
    rows = db.execute("SELECT at_s, ?, kind, data FROM log WHERE job IS ? ORDER BY sequence", (job_id, sequence))
    return tuple(map(entry_of, rows))


def artifacts(db: sqlite3.Connection) -> frozenset[ArtifactKey]:
    named = "SELECT item.value FROM jobs, json_tree(jobs.{}) AS item WHERE item.key = 'artifact'"
    rows = db.execute(f"{named.format('inputs')} UNION {named.format('results')}")
    return frozenset(ArtifactKey(text) for (text,) in rows)


# Pieces --------------------------------------------------------------------------------------------------------------


def _epoch(db: sqlite3.Connection) -> int:
    epoch: int = db.execute("SELECT epoch FROM leader").fetchone()[0]
    return epoch


def _standing(db: sqlite3.Connection, job_id: JobId) -> tuple[int, JobState, int, int]:
    """Sequence, state, attempt and epoch of a job."""
    row = db.execute("SELECT sequence, state, attempt, epoch FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        raise _unknown(job_id)
    sequence, state, attempt, epoch = row
    return sequence, JobState(state), attempt, epoch


def _claim(db: sqlite3.Connection, job_id: JobId, attempt: int, epoch: int, target: JobState) -> int | None:
    """The compare of compare-and-set: the job's sequence when it stands at this attempt and epoch and may move."""
    sequence, state, *life = _standing(db, job_id)
    if life != [attempt, epoch] or state in TERMINAL:
        return None
    check_move(job_id, state, target)
    return sequence


def _holder(db: sqlite3.Connection, job: Job, idempotency: Idempotency) -> Job | None:
    """The earlier job that holds the new job's key; None when there is none or the key's time is over."""
    found = db.execute(f"{_SELECT} WHERE tenant = ? AND idempotency_key = ?", (job.tenant, idempotency.key)).fetchone()
    if found is None:
        return None
    first = job_of(found)
    if first.created_s <= job.created_s - KEY_LIFE_S:
        _give_back_key(db, _standing(db, first.id)[0])
        return None
    if first.idempotency != idempotency:
        raise IdempotencyKeyReused(
            f"Idempotency-Key {idempotency.key!r} was used for another request ({first.id}); "
            "send a new key with a new request, and the same request with the same key."
        )
    return first


def _give_back_key(db: sqlite3.Connection, sequence: int) -> None:
    db.execute("UPDATE jobs SET idempotency_key = NULL, fingerprint = NULL WHERE sequence = ?", (sequence,))


def _log(db: sqlite3.Connection, job: int | None, at_s: float, kind: LogKind, data: Mapping[str, object]) -> None:
    db.execute("INSERT INTO log (job, at_s, kind, data) VALUES (?, ?, ?, ?)", (job, at_s, kind, encode_data(data)))


def _unknown(job_id: JobId) -> UnknownJob:
    return UnknownJob(f"{job_id}: there is no such job; it may have been forgotten.")
