"""Jobs and log entries as rows of tables, and back. Values are JSON; an artifact is {"artifact": key}."""

import json
from collections.abc import Mapping
from typing import Any

from brickwork.store.artifacts import ArtifactKey
from brickwork.store.jobs import Idempotency, Job, JobError, JobId, LogEntry, LogKind, Value
from brickwork.store.states import JobState

COLUMNS = (
    "id", "workflow", "inputs", "created_s", "epoch", "tenant", "priority", "deadline_s", "deterministic", "if_late",
    "degrade", "idempotency_key", "fingerprint", "state", "attempt", "started_s", "lowered", "finished_s", "error_code",
    "error_message", "results",
)  # fmt: skip
"""Columns of table jobs in the order of `row_of` and `job_of`; `sequence` is the database's own."""


def row_of(job: Job) -> tuple[Any, ...]:
    key, fingerprint = (job.idempotency.key, job.idempotency.fingerprint) if job.idempotency else (None, None)
    code, message = (job.error.code, job.error.message) if job.error else (None, None)
    return (
        job.id, job.workflow, encode(job.values), job.created_s, job.epoch, job.tenant, job.priority, job.deadline_s,
        job.deterministic, job.if_late, encode(job.degrade), key, fingerprint, job.state, job.attempt, job.started_s,
        encode(job.lowered), job.finished_s, code, message, encode(job.results),
    )  # fmt: skip


def job_of(row: tuple[Any, ...]) -> Job:
    (
        id_, workflow, inputs, created_s, epoch, tenant, priority, deadline_s, deterministic, if_late, degrade, key,
        fingerprint, state, attempt, started_s, lowered, finished_s, code, message, results,
    ) = row  # fmt: skip
    return Job(
        JobId(id_),
        workflow,
        decode(inputs),
        created_s,
        epoch,
        tenant,
        priority,
        deadline_s,
        bool(deterministic),
        if_late,
        tuple((name, int(least)) for name, least in json.loads(degrade)),
        Idempotency(key, fingerprint) if key is not None else None,
        JobState(state),
        attempt,
        started_s,
        decode(lowered),
        finished_s,
        JobError(code, message) if code is not None else None,
        decode(results),
    )


def entry_of(row: tuple[Any, ...]) -> LogEntry:
    """From the columns at_s, job's id, kind, data."""
    at_s, job_id, kind, data = row
    return LogEntry(at_s, job_id, LogKind(kind), json.loads(data))


def encode(values: tuple[tuple[str, Value], ...]) -> str:
    """Named values as JSON text.

    raises    ValueError for NaN and infinity, TypeError for what is no Value
    """
    return json.dumps(values, allow_nan=False, default=_artifact)


def encode_data(data: Mapping[str, object]) -> str:
    """The data of a log entry as JSON text; raises as `encode`."""
    return json.dumps(data, allow_nan=False, default=_artifact)


def decode(text: str) -> tuple[tuple[str, Value], ...]:
    return tuple((name, _value(value)) for name, value in json.loads(text))


def _artifact(value: object) -> dict[str, str]:
    if isinstance(value, ArtifactKey):
        return {"artifact": value.text}
    raise TypeError(f"{type(value).__name__} cannot be kept in a job; put it into an artifact.")


def _value(plain: Any) -> Value:
    match plain:
        case list():
            return tuple(_value(item) for item in plain)
        case {"artifact": key}:
            return ArtifactKey(key)
        case None | bool() | int() | float() | str():
            return plain
    raise ValueError(f"{plain!r} is no value of a job.")
