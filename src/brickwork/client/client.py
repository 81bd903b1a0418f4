"""The client for code that waits by blocking."""

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Literal

import httpx

from brickwork.client.protocol import (
    Attempts,
    Deadline,
    Event,
    Follower,
    JobResult,
    Submission,
    checked,
    opened,
    succeeded,
    unreachable,
)
from brickwork.core.errors import BrickworkError
from brickwork.workflow.api import Workflow


class Client:
    """A brickwork server.

    url          "http://127.0.0.1:8000"
    timeout_s    for each answer; not for a job, which may take as long as it needs
    retries      attempts after the first when the server is away or busy; a repeated submission makes no second job

    Safe to use from several threads. Use as a context manager, or call `close`.
    """

    def __init__(self, url: str, *, timeout_s: float = 30.0, retries: int = 3):
        self._http = httpx.Client(base_url=url, timeout=timeout_s)
        self._retries = retries

    def run(
        self,
        workflow: str | Workflow,
        *,
        deadline_s: float | None = None,
        deterministic: bool = False,
        if_late: Literal["stop", "continue"] = "stop",
        degrade: Mapping[str, int] | None = None,
        timeout_s: float | None = None,
        **inputs: Any,
    ) -> JobResult:
        """`submit` and wait. Ctrl-C cancels the job. See both for what they raise."""
        job = self.submit(
            workflow, deadline_s=deadline_s, deterministic=deterministic, if_late=if_late, degrade=degrade, **inputs
        )
        try:
            return job.result(timeout_s)
        except KeyboardInterrupt:
            job.cancel()
            raise

    def submit(
        self,
        workflow: str | Workflow,
        *,
        deadline_s: float | None = None,
        deterministic: bool = False,
        if_late: Literal["stop", "continue"] = "stop",
        degrade: Mapping[str, int] | None = None,
        **inputs: Any,
    ) -> "Job":
        """Hand in a job; once this returns, the server will end it, whatever happens.

        deadline_s       seconds from now; refused when it cannot be met
        deterministic    never share a batch
        if_late          once the deadline cannot be met: "stop" (`result` raises Expired) or "continue" as best effort
        degrade          int inputs that may be lowered rather than refuse, with their least values: {"steps": 8}
        inputs           by name; pictures as PIL images or `Path`s, or as the id of an artifact that is on the server
        raises           InputError that names the input, Rejected with the time to come back, Unreachable
        """
        body, headers = Submission(workflow, inputs, deadline_s, deterministic, if_late, degrade).request()
        view = self._call("POST", "/v1/jobs", content=body, headers=headers).json()
        return Job(self, view)

    def job(self, job_id: str) -> "Job":
        """A job that was handed in before. raises BrickworkError when there is none of this id"""
        return Job(self, self._call("GET", f"/v1/jobs/{job_id}").json())

    def workflows(self) -> list[Mapping[str, Any]]:
        """What the server serves: names, documentation, and the JSON Schema of the inputs."""
        found: list[Mapping[str, Any]] = self._call("GET", "/v1/workflows").json()["data"]
        return found

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        attempts = Attempts(self._retries)
        while True:
            failure: httpx.Response | httpx.TransportError
            try:
                response = failure = self._http.request(method, path, **options)
            except httpx.TransportError as error:
                response, failure = None, error
            delay_s = None if response is not None and response.is_success else attempts.delay_s(failure)
            if delay_s is None:
                break
            time.sleep(delay_s)
        if response is None:
            raise unreachable(self._http.base_url, failure) from None  # type: ignore[arg-type]
        return checked(response)

    def _lines(self, follower: Follower, silence_s: float) -> Iterator[str]:
        timeout = httpx.Timeout(self._http.timeout.connect, read=silence_s)
        with self._http.stream("GET", follower.path, headers=follower.headers(), timeout=timeout) as response:
            if not response.is_success:
                response.read()
                checked(response)
            yield from response.iter_lines()


class Job:
    """A job on the server."""

    def __init__(self, client: Client, view: Mapping[str, Any]):
        self._client = client
        self.id: str = view["id"]

    def view(self) -> Mapping[str, Any]:
        """The job as it is now."""
        found: Mapping[str, Any] = self._client._call("GET", f"/v1/jobs/{self.id}").json()
        return found

    def events(self, timeout_s: float | None = None) -> Iterator[Event]:
        """What happens, until the job has ended. A broken connection is taken up again where it broke.

        raises    Unreachable; TimeoutError after `timeout_s`, and the job goes on
        """
        follower, deadline = Follower(self.id), Deadline(timeout_s)
        attempts = Attempts(self._client._retries)
        while True:
            failure: httpx.TransportError = httpx.RemoteProtocolError("the event stream ended early")
            try:
                for line in self._client._lines(follower, deadline.left_s(self.id)):
                    for event in follower.feed(line):
                        attempts.begin()
                        yield event
                        if event.is_last:
                            return
                    deadline.left_s(self.id)
            except httpx.TransportError as error:
                failure = error
            deadline.left_s(self.id)
            delay_s = attempts.delay_s(failure)
            if delay_s is None:
                raise unreachable(self._client._http.base_url, failure)
            time.sleep(delay_s)

    def result(self, timeout_s: float | None = None) -> JobResult:
        """Wait for the end and fetch the outputs.

        raises    RequestFailed, Rejected, Cancelled; TimeoutError after `timeout_s`, and the job goes on
        """
        for event in self.events(timeout_s):
            if event.is_last:
                return self._fetched(succeeded(event.data))
        raise BrickworkError(f"{self.id}: its events ended without a result")

    def cancel(self) -> None:
        """Ask for the end at the next step; `result` then raises Cancelled."""
        self._client._call("POST", f"/v1/jobs/{self.id}/cancel")

    def _fetched(self, view: Mapping[str, Any]) -> JobResult:
        outputs = {output["name"]: self._output(output) for output in view["outputs"]}
        return JobResult(view, outputs)

    def _output(self, output: Mapping[str, Any]) -> Any:
        if output["url"] is None:
            return output["value"]
        return opened(output, self._client._call("GET", output["url"]).content)
