"""Jobs as clients see them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from brickwork.store.artifacts import ArtifactKey
from brickwork.store.jobs import Job, Value
from brickwork.store.states import JobState
from brickwork.workflow.inputs import show_size


class Output(BaseModel):
    """One named result: an artifact with `id` and `url`, or a plain `value`."""

    name: str
    type: str = Field(description="image, video, file or value")
    id: str | None = None
    content_type: str | None = None
    url: str | None = None
    value: Any = None


class TaskProgress(BaseModel):
    """How far one task of the workflow is."""

    step: int
    steps: int


class Failure(BaseModel):
    """Why a job did not succeed."""

    code: str
    message: str


class JobView(BaseModel):
    """One job."""

    id: str
    object: Literal["job"] = "job"
    workflow: str
    status: JobState
    inputs: dict[str, Any]
    deadline_s: float | None
    deterministic: bool
    if_late: Literal["stop", "continue"]
    degrade: dict[str, int]
    lowered: dict[str, Any] = Field(description="Inputs that were lowered to meet the deadline, as they ran.")
    attempt: int
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    held_up: str | None = Field(description="Why its end is not told though it has run: the storage's failure.")
    progress: dict[str, TaskProgress] = Field(description="By task; of jobs that run.")
    outputs: list[Output]
    error: Failure | None
    urls: dict[str, str]


class JobList(BaseModel):
    """A page of jobs, the newest first."""

    object: Literal["list"] = "list"
    data: list[JobView]
    has_more: bool


def view(job: Job, progress: Mapping[str, Mapping[str, int]] | None = None, held_up: str = "") -> JobView:
    """A job as JSON shows it."""
    home = f"/v1/jobs/{job.id}"
    return JobView(
        id=job.id,
        workflow=job.workflow,
        status=job.state,
        inputs={name: _shown(value) for name, value in job.values},
        deadline_s=job.deadline_s,
        deterministic=job.deterministic,
        if_late=job.if_late,
        degrade=dict(job.degrade),
        lowered={name: _shown(value) for name, value in job.lowered},
        attempt=job.attempt,
        created_at=_time(job.created_s),
        started_at=_time(job.started_s) if job.started_s is not None else None,
        completed_at=_time(job.finished_s) if job.finished_s is not None else None,
        held_up=held_up or None,
        progress={task: TaskProgress(**at) for task, at in (progress or {}).items()},
        outputs=[_output(name, value) for name, value in job.results],
        error=Failure(code=job.error.code, message=job.error.message) if job.error else None,
        urls={"self": home, "events": f"{home}/events", "cancel": f"{home}/cancel"},
    )


def artifact_url(key: ArtifactKey) -> str:
    return f"/v1/artifacts/{key}"


def _output(name: str, value: Value) -> Output:
    if not isinstance(value, ArtifactKey):
        return Output(name=name, type="value", value=_shown(value))
    kind = value.media_type.partition("/")[0]
    return Output(
        name=name,
        type=kind if kind in ("image", "video") else "file",
        id=str(value),
        content_type=value.media_type,
        url=artifact_url(value),
    )


def _shown(value: Value) -> Any:
    if isinstance(value, ArtifactKey):
        return str(value)
    return show_size((value[0], value[1])) if isinstance(value, tuple) else value  # type: ignore[arg-type]


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
