"""What both clients share: requests and answers as data, without any input or output of their own.

The two clients differ only in how they wait. What is sent, what an answer means, when to try again and where an event
stream goes on is decided here.
"""

import base64
import io
import json
import mimetypes
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import httpx
from PIL import Image

from brickwork.core.errors import BrickworkError, Cancelled, Expired, InputError, Rejected, RequestFailed
from brickwork.workflow.api import Workflow

TERMINAL = ("succeeded", "failed", "canceled", "rejected", "expired")

AGAIN = (408, 500, 502, 503, 504)
"""Answers after which the same request may succeed; a submission repeats its idempotency key, so it is safe."""

MAX_SILENCE_S = 45.0
"""An event stream without even a comment for so long is dead: the server sends one every 15 s."""

MAX_DELAY_S = 8.0


class Unreachable(BrickworkError):
    """The server could not be reached, or its answer was not one of brickwork's."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job."""

    id: str
    kind: str  # "snapshot" | "state" | "progress" | "preview" | "result"
    data: Mapping[str, Any]

    @property
    def is_last(self) -> bool:
        return self.kind == "result" or (self.kind == "snapshot" and self.data["status"] in TERMINAL)

    @property
    def picture(self) -> Image.Image:
        """Of a preview: the picture so far."""
        return Image.open(io.BytesIO(base64.b64decode(self.data["b64_png"])))


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a job gave."""

    job: Mapping[str, Any]  # as the server shows it
    outputs: dict[str, Any]  # by result name: a PIL image, the bytes of another file, or a value

    @property
    def image(self) -> Image.Image:
        """The only output, or the one named "image"."""
        if "image" in self.outputs or len(self.outputs) == 1:
            picture: Image.Image = self.outputs.get("image") or next(iter(self.outputs.values()))
            return picture
        raise AttributeError(f"this workflow gives {', '.join(self.outputs)}; use .outputs[name]")


@dataclass
class Submission:
    """A job as it is sent. Sending it again under the same key makes no second one."""

    workflow: str | Workflow
    inputs: Mapping[str, Any]
    deadline_s: float | None = None
    deterministic: bool = False
    if_late: Literal["stop", "continue"] = "stop"
    degrade: Mapping[str, int] | None = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def request(self) -> tuple[bytes, dict[str, str]]:
        """Body and headers."""
        name = self.workflow.name if isinstance(self.workflow, Workflow) else self.workflow
        body: dict[str, Any] = {"workflow": name, "inputs": {k: sendable(k, v) for k, v in self.inputs.items()}}
        if self.deadline_s is not None:
            body["deadline_s"] = self.deadline_s
        if self.deterministic:
            body["deterministic"] = True
        if self.if_late != "stop":
            body["if_late"] = self.if_late
        if self.degrade:
            body["degrade"] = dict(self.degrade)
        return json.dumps(body).encode(), {"content-type": "application/json", "idempotency-key": self.key}


def sendable(name: str, value: Any) -> Any:
    """An input as JSON: pictures (PIL images, files by `Path`) as data URLs, sizes as text."""
    if isinstance(value, Image.Image):
        buffer = io.BytesIO()
        value.convert("RGB").save(buffer, "png")
        return _data_url("image/png", buffer.getvalue())
    if isinstance(value, Path):
        try:
            return _data_url(mimetypes.guess_type(value.name)[0] or "image/png", value.read_bytes())
        except OSError as error:
            raise InputError(name, f"{value} cannot be read: {error.strerror}") from None
    if isinstance(value, tuple) and len(value) == 2:
        return f"{value[1]}x{value[0]}"
    return value


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def checked(response: httpx.Response) -> httpx.Response:
    """The response, if it is a success.

    raises    what its error envelope says, as brickwork's own errors
    """
    if response.is_success:
        return response
    try:
        error = response.json()["error"]
        message, param = str(error["message"]), error.get("param")
    except (ValueError, KeyError, TypeError):
        raise Unreachable(f"{response.url} answered {response.status_code}, not as brickwork does.") from None
    if response.status_code == 429:
        raise Rejected(message, retry_after_s(response))
    if param is not None and response.status_code < 500:
        raise InputError(str(param), message.removeprefix(f"{param}: "))
    raise BrickworkError(message)


def retry_after_s(response: httpx.Response) -> float | None:
    """After how many seconds the server wants to be asked again; None: it does not."""
    try:
        return float(response.headers["retry-after-ms"]) / 1000
    except (KeyError, ValueError):
        return None


class Attempts:
    """How often, and when, something is tried again that failed."""

    def __init__(self, retries: int):
        self._retries = retries
        self.begin()

    def begin(self) -> None:
        """Count afresh: something has been achieved."""
        self._left = self._retries
        self._delay_s = 0.25

    def delay_s(self, failure: httpx.Response | httpx.TransportError) -> float | None:
        """Seconds to wait before the next attempt; None: give up."""
        asked_s = None
        if isinstance(failure, httpx.Response):
            if not _may_repeat(failure):
                return None
            asked_s = retry_after_s(failure)
        if self._left == 0:
            return None
        self._left -= 1
        delay_s, self._delay_s = self._delay_s, min(MAX_DELAY_S, 2 * self._delay_s)
        return max(delay_s, asked_s or 0.0)


def _may_repeat(response: httpx.Response) -> bool:
    return response.status_code in AGAIN and response.headers.get("x-should-retry") != "false"


class Follower:
    """Where a reader of a job's events is: decodes lines, and knows how to go on after a broken connection."""

    def __init__(self, job_id: str):
        self.path = f"/v1/jobs/{job_id}/events"
        self._seen = ""
        self._fields: dict[str, str] = {}

    def headers(self) -> dict[str, str]:
        self._fields = {}
        return {"last-event-id": self._seen} if self._seen else {}

    def feed(self, line: str) -> Iterator[Event]:
        """Take one line of the stream; gives an event when it completes one."""
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")  # a comment has the name ""
        elif "data" in self._fields:
            fields, self._fields = self._fields, {}
            self._seen = fields.get("id", self._seen)
            yield Event(self._seen, fields.get("event", "message"), json.loads(fields["data"]))


class Deadline:
    """A bound on waiting; None: none."""

    def __init__(self, timeout_s: float | None):
        self._timeout_s = timeout_s
        self._end_s = None if timeout_s is None else monotonic() + timeout_s

    def left_s(self, job_id: str) -> float:
        """Seconds that may still be waited at a time. raises TimeoutError when there are none"""
        if self._end_s is None:
            return MAX_SILENCE_S
        left_s = self._end_s - monotonic()
        if left_s <= 0:
            raise TimeoutError(f"{job_id} did not end within {self._timeout_s} s; it goes on")
        return min(left_s, MAX_SILENCE_S)


def succeeded(job: Mapping[str, Any]) -> Mapping[str, Any]:
    """A job that has ended, if it succeeded. raises what it ended with"""
    message = (job["error"] or {}).get("message", "")
    match job["status"]:
        case "succeeded":
            return job
        case "canceled":
            raise Cancelled(f"{job['id']} was canceled")
        case "rejected":
            raise Rejected(message, None)
        case "expired":
            raise Expired(message)
        case state:
            raise RequestFailed(f"{job['id']} has {state}: {message}")


def opened(output: Mapping[str, Any], data: bytes) -> Any:
    """An output that is a file, as Python has it."""
    return Image.open(io.BytesIO(data)) if output["type"] == "image" else data


def unreachable(url: httpx.URL, error: Exception) -> Unreachable:
    return Unreachable(f"{url} cannot be reached: {error or type(error).__name__}. Is `brickwork serve` running there?")
