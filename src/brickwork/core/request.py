"""A request, what it may ask of the schedule, and how it may end."""

from enum import StrEnum
from typing import Literal

from brickwork.core.ids import RequestId
from brickwork.core.record import record


class Outcome(StrEnum):
    """The terminal states of a request. Each accepted request reaches exactly one."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"  # accepted, and stopped when it could no longer meet its deadline


@record(frozen=True, slots=True)
class SLO:
    """What the caller asks of the schedule."""

    deadline_s: float | None = None  # seconds after arrival; None: best effort, never refused for lateness
    deterministic: bool = False  # never batch, so that the result is bit-equal whatever else runs
    if_late: Literal["stop", "continue"] = "stop"  # once the deadline cannot be met: end as expired, or as best effort
    degrade: tuple[tuple[str, int], ...] = ()  # int inputs that may be lowered rather than refuse: (name, least value)


@record(frozen=True, slots=True)
class Request:
    """One run of a workflow. `values` holds the validated, resolved scalar inputs."""

    id: RequestId
    workflow: str
    values: tuple[tuple[str, "Scalar"], ...]
    slo: SLO = SLO()
    tenant: str = "default"
    resend_key: str = ""  # equal when a refused request is sent again; "": it would not be recognised


Scalar = int | float | str | bool | tuple[int, int]
"""A request input that travels by value. The pair is a size: (height_px, width_px)."""
