"""What a job is, and what every job store promises (JobStore).

The promises, which one suite tests against every store (`tests/conformance/test_store.py`):

* An answer comes only after the change is on disk; a change that was answered survives SIGKILL and power loss.
* A job ends in exactly one terminal state, with at most one set of results: `finish` is a compare-and-set on
  (job, attempt, epoch), and moves are those of `states.MOVES`.
* Changes are made in the order in which they were asked for, so `start` and `finish` may be ordered without a wait
  between them. A question is answered from what is on disk when it is asked: wait for a change before asking for it.
* An idempotency key names one job of its tenant for 24 hours. A rejected job gives its key back, for it did nothing
  and its client is asked to come again.

Not known here: what a workflow is, when to retry, how long to keep. Time is an argument (unix seconds).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NewType, Protocol, TypeAlias

from brickwork.store.artifacts import ArtifactKey
from brickwork.store.pending import Pending
from brickwork.store.states import JobState

JobId = NewType("JobId", str)
"""Name of a job, chosen by the caller of `create`; never reused, by any server on this store."""

Value: TypeAlias = "bool | int | float | str | ArtifactKey | tuple[Value, ...] | None"
"""An input or result that can be kept: by value, or as the key of an artifact. Floats are finite."""

KEY_LIFE_S = 24 * 3600.0
"""How long an idempotency key is remembered after its job was created (the Comfy contract's and Stripe's figure)."""

MAX_PAGE = 1000
"""Most jobs that one `list` returns."""

MAX_FORGET = 1000
"""Most jobs that one `forget` drops, so that it delays other writes by milliseconds only."""


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job did not succeed."""

    code: str  # for programs: "node_failed", "deadline_missed"
    message: str  # for people: complete sentences


@dataclass(frozen=True, slots=True)
class Idempotency:
    """What tells a repeated request from a new one."""

    key: str  # as the client sent it; its scope is the tenant
    fingerprint: str  # digest of the request as the client sent it, before defaults and random seeds are filled in


@dataclass(frozen=True, slots=True)
class Job:
    """One accepted request and how far it is. `create` takes one with the fields before `state`; those from `state` on,
    and `epoch`, change through the store only."""

    id: JobId
    workflow: str
    values: tuple[tuple[str, Value], ...]  # validated and resolved inputs, so that every attempt runs the same
    created_s: float
    epoch: int  # of the server that owns it; at creation the current one
    tenant: str = "default"
    priority: int = 0
    deadline_s: float | None = None  # seconds after created_s
    deterministic: bool = False
    if_late: Literal["stop", "continue"] = "stop"  # once the deadline cannot be met
    degrade: tuple[tuple[str, int], ...] = ()  # inputs that may be lowered, with their least values
    idempotency: Idempotency | None = None  # None again once the key was given back
    state: JobState = JobState.QUEUED
    attempt: int = 0  # number of the latest attempt; 0: none yet
    started_s: float | None = None  # of the latest attempt, unless it was taken over
    lowered: tuple[tuple[str, Value], ...] = ()  # inputs of the latest attempt that were lowered, with their values
    finished_s: float | None = None  # set exactly in terminal states
    error: JobError | None = None
    results: tuple[tuple[str, Value], ...] = ()  # not empty only when it succeeded


@dataclass(frozen=True, slots=True)
class Created:
    """Answer to `create`."""

    job: Job
    is_replay: bool  # the key named an earlier job: `job` is that one, and nothing was created


class LogKind(StrEnum):
    ACCEPTED = "accepted"
    STARTED = "started"  # data: attempt, epoch
    ENDED = "ended"  # data: state, attempt, epoch, artifacts
    TAKEN_OVER = "taken over"  # of the store: a new epoch began
    CHECKPOINT = "checkpoint"  # data: the caller's
    RESIDENCY = "residency"  # of the store; data: the caller's


CALLERS_KINDS = (LogKind.CHECKPOINT, LogKind.RESIDENCY)
"""What `append_log` takes; the store writes the others itself, together with the change that they tell of."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the run log."""

    at_s: float
    job_id: JobId | None  # None: of the store as a whole
    kind: LogKind
    data: Mapping[str, object]  # JSON


class JobStore(Protocol):
    """Jobs and run log. Methods do not block; any thread may call them.

    Every answer may be a StoreError: the storage failed and the change is not acknowledged. Whoever must have it
    asks again later; the store needs no restart. Where a failing disk leaves it open whether the change was made,
    asking again tells: `create` with the same id raises JobExists, `finish` answers False.
    """

    def new_epoch(self, now_s: float) -> Pending[int]:
        """Begin a server's life: all unfinished jobs become its own, and running ones are queued again.

        From here on, what servers of earlier epochs order is refused.
        """

    def create(self, job: Job) -> Pending[Created]:
        """Accept a new job, or return the one that its idempotency key already names.

        raises    IdempotencyKeyReused for the same key with another fingerprint; JobExists; StaleEpoch
        """

    def start(
        self, job_id: JobId, attempt: int, epoch: int, now_s: float, lowered: tuple[tuple[str, Value], ...] = ()
    ) -> Pending[bool]:
        """Record that a queued job's next attempt runs.

        attempt   one more than the job's
        lowered   inputs that have other values in it than were asked for
        returns   False when the job is no longer there to start: canceled, ended, or another's
        raises    UnknownJob
        """

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
        """End a job, if it still is at this attempt of this epoch; the first one to come decides.

        attempt   the job's own: 0 for one that never started
        returns   True: this call ended it. False: late or repeated, nothing changed
        raises    UnknownJob; IllegalMove, for example for a queued job that is said to have succeeded
        """

    def request_cancel(self, job_id: JobId, now_s: float) -> Pending[Job]:
        """Ask for a job's end: a queued job is canceled, a running one is canceling until `finish`. Idempotent.

        raises    UnknownJob
        """

    def get(self, job_id: JobId) -> Pending[Job]:
        """raises    UnknownJob"""

    def list(
        self,
        tenant: str | None = None,
        state: JobState | None = None,
        after: JobId | None = None,
        limit: int = 100,
    ) -> Pending[tuple[Job, ...]]:
        """Jobs, the newest first.

        after     the last job of the page before
        limit     1 to MAX_PAGE
        raises    UnknownJob for an `after` that is not (or no longer) there
        """

    def unfinished(self) -> Pending[tuple[Job, ...]]:
        """Every job without a terminal state, the oldest first."""

    def append_log(
        self, kind: LogKind, now_s: float, data: Mapping[str, object], job_id: JobId | None = None
    ) -> Pending[None]:
        """Add a line of one of CALLERS_KINDS to the run log.

        raises    UnknownJob
        """

    def log(self, job_id: JobId | None = None) -> Pending[tuple[LogEntry, ...]]:
        """The run log of a job, or of the store as a whole, the oldest entry first.

        raises    UnknownJob
        """

    def artifacts(self) -> Pending[frozenset[ArtifactKey]]:
        """Every artifact that a job's inputs or results name: what a sweep must keep."""

    def probe(self) -> Pending[None]:
        """Write something that leaves no trace: whether changes can be made now, a StoreError tells."""

    def forget(self, before_s: float) -> Pending[int]:
        """Drop up to MAX_FORGET jobs that ended before `before_s`, with their log and keys. Call again until 0."""

    def close(self) -> None:
        """Carry out what was ordered, then release everything. Blocks; idempotent."""
