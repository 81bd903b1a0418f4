"""The life of a job as a table: every legal move and what causes it. The store refuses all others.

The docs draw their diagram from MOVES (`diagram`). Terminal states are those that nothing leaves.
"""

from enum import StrEnum

from brickwork.store.errors import IllegalMove


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELING = "canceling"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"


MOVES: dict[tuple[JobState, JobState], str] = {
    (JobState.QUEUED, JobState.RUNNING): "an attempt started",
    (JobState.QUEUED, JobState.CANCELED): "canceled before it ran",
    (JobState.QUEUED, JobState.REJECTED): "admission refused it",
    (JobState.QUEUED, JobState.EXPIRED): "its deadline passed while it waited",
    (JobState.QUEUED, JobState.FAILED): "it cannot run",
    (JobState.RUNNING, JobState.QUEUED): "a new epoch took it over",
    (JobState.RUNNING, JobState.SUCCEEDED): "its results were committed",
    (JobState.RUNNING, JobState.FAILED): "it failed",
    (JobState.RUNNING, JobState.EXPIRED): "its deadline passed while it ran",
    (JobState.RUNNING, JobState.CANCELING): "a cancel was requested",
    (JobState.CANCELING, JobState.CANCELED): "the cancel took effect",
    (JobState.CANCELING, JobState.SUCCEEDED): "it ended before the cancel took effect",
    (JobState.CANCELING, JobState.FAILED): "it failed before the cancel took effect",
}

TERMINAL = frozenset(JobState) - {source for source, _ in MOVES}
"""States that are final."""

CANCELS = {JobState.QUEUED: JobState.CANCELED, JobState.RUNNING: JobState.CANCELING}
"""Where a cancel request takes a job; in any other state it changes nothing."""


def check_move(job_id: str, source: JobState, target: JobState) -> None:
    """Refuse a move that the table does not have.

    raises    IllegalMove naming the job, both states and what is allowed
    """
    if (source, target) not in MOVES:
        allowed = ", ".join(after for before, after in MOVES if before is source) or "nothing: it is final"
        raise IllegalMove(f"{job_id}: a job that is {source} cannot become {target}; allowed is {allowed}.")


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = [f"    {source} --> {target}: {cause}" for (source, target), cause in MOVES.items()]
    ends = [f"    {state} --> [*]" for state in JobState if state in TERMINAL]
    return "\n".join(["stateDiagram-v2", "    [*] --> queued: accepted", *lines, *ends])
