"""The client for asyncio: `Client` with `await`. Its methods promise what those of `Client` promise."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
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


class AsyncClient:
    """A brickwork server; see `Client` for the arguments. Use as an async context manager, or call `close`."""

    def __init__(self, url: str, *, timeout_s: float = 30.0, retries: int = 3):
        self._http = httpx.AsyncClient(base_url=url, timeout=timeout_s)
        self._retries = retries

    async def run(
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
        """`submit` and wait. When the waiting task is cancelled, so is the job."""
        job = await self.submit(
            workflow, deadline_s=deadline_s, deterministic=deterministic, if_late=if_late, degrade=degrade, **inputs
        )
        try:
            return await job.result(timeout_s)
        except asyncio.CancelledError:
            await job.cancel()
            raise

    async def submit(
        self,
        workflow: str | Workflow,
        *,
        deadline_s: float | None = None,
        deterministic: bool = False,
        if_late: Literal["stop", "continue"] = "stop",
        degrade: Mapping[str, int] | None = None,
        **inputs: Any,
    ) -> "AsyncJob":
        body, headers = Submission(workflow, inputs, deadline_s, deterministic, if_late, degrade).request()
        view = (await self._call("POST", "/v1/jobs", content=body, headers=headers)).json()
        return AsyncJob(self, view)

    async def job(self, job_id: str) -> "AsyncJob":
        return AsyncJob(self, (await self._call("GET", f"/v1/jobs/{job_id}")).json())

    async def workflows(self) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = (await self._call("GET", "/v1/workflows")).json()["data"]
        return found

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        attempts = Attempts(self._retries)
        while True:
            failure: httpx.Response | httpx.TransportError
            try:
                response = failure = await self._http.request(method, path, **options)
            except httpx.TransportError as error:
                response, failure = None, error
            delay_s = None if response is not None and response.is_success else attempts.delay_s(failure)
            if delay_s is None:
                break
            await asyncio.sleep(delay_s)
        if response is None:
            raise unreachable(self._http.base_url, failure) from None  # type: ignore[arg-type]
        return checked(response)

    async def _lines(self, follower: Follower, silence_s: float) -> AsyncIterator[str]:
        timeout = httpx.Timeout(self._http.timeout.connect, read=silence_s)
        async with self._http.stream("GET", follower.path, headers=follower.headers(), timeout=timeout) as response:
            if not response.is_success:
                await response.aread()
                checked(response)
            async for line in response.aiter_lines():
                yield line


class AsyncJob:
    """A job on the server."""

    def __init__(self, client: AsyncClient, view: Mapping[str, Any]):
        self._client = client
        self.id: str = view["id"]

    async def view(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = (await self._client._call("GET", f"/v1/jobs/{self.id}")).json()
        return found

    async def events(self, timeout_s: float | None = None) -> AsyncIterator[Event]:
        follower, deadline = Follower(self.id), Deadline(timeout_s)
        attempts = Attempts(self._client._retries)
        while True:
            failure: httpx.TransportError = httpx.RemoteProtocolError("the event stream ended early")
            try:
                async with aclosing(self._client._lines(follower, deadline.left_s(self.id))) as lines:  # type: ignore[type-var]
                    async for line in lines:
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
            await asyncio.sleep(delay_s)

    async def result(self, timeout_s: float | None = None) -> JobResult:
        async for event in self.events(timeout_s):
            if event.is_last:
                view = succeeded(event.data)
                return JobResult(view, {output["name"]: await self._output(output) for output in view["outputs"]})
        raise BrickworkError(f"{self.id}: its events ended without a result")

    async def cancel(self) -> None:
        await self._client._call("POST", f"/v1/jobs/{self.id}/cancel")

    async def _output(self, output: Mapping[str, Any]) -> Any:
        if output["url"] is None:
            return output["value"]
        return opened(output, (await self._client._call("GET", output["url"])).content)
