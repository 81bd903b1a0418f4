"""One request to a server and what its answer means. Two contracts: brickwork's jobs, and OpenAI's images.

A request has ended when its result is in the client's hands: of a job, when its artifacts have been read. Nothing is
sent twice by itself: a load tool that tries again would offer another load than it says.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import httpx

from brickwork.client.protocol import Follower, Submission, retry_after_s, unreachable
from brickwork.core.errors import BrickworkError, InputError
from brickwork.core.request import Outcome
from brickwork.load.offers import Offer

CANCEL_S = 2.0
"""For telling the server that nobody waits for a job any more."""

_OUTCOMES = {
    "succeeded": Outcome.SUCCEEDED,
    "canceled": Outcome.CANCELLED,
    "rejected": Outcome.REJECTED,
    "expired": Outcome.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ended."""

    outcome: Outcome
    error: str = ""
    retry_after_s: float | None = None  # of a refusal that said so


class Api(Protocol):
    """A contract between client and server."""

    async def send(self, http: httpx.AsyncClient, offer: Offer, deadline_s: float | None) -> Answer:
        """Send a request and wait for its result.

        deadline_s    what the server is told
        raises        httpx.HTTPError; ValueError, KeyError or TypeError for an answer that breaks the contract
        """


class JobsApi:
    """POST /v1/jobs, then the job's events to their end, then its artifacts.

    An offer that is sent again has the same idempotency key, so that the server knows who was told to come back.
    """

    def __init__(self) -> None:
        self._run = uuid.uuid4().hex

    async def send(self, http: httpx.AsyncClient, offer: Offer, deadline_s: float | None) -> Answer:
        key = f"{self._run}-{offer.number}"
        body, headers = Submission(offer.workflow, offer.inputs, deadline_s, key=key).request()
        response = await http.post("/v1/jobs", content=body, headers=headers)
        if not response.is_success:
            return _refused(response)
        job_id = response.json()["id"]
        try:
            job = await _ended(http, job_id)
            for output in job["outputs"]:
                if output["url"] is not None:
                    (await http.get(output["url"])).raise_for_status()
        except asyncio.CancelledError:
            with contextlib.suppress(httpx.HTTPError, TimeoutError):
                await asyncio.wait_for(http.post(f"/v1/jobs/{job_id}/cancel"), CANCEL_S)
            raise
        error = (job["error"] or {}).get("message", "")
        return Answer(_OUTCOMES.get(job["status"], Outcome.FAILED), error)


async def _ended(http: httpx.AsyncClient, job_id: str) -> Mapping[str, Any]:
    follower = Follower(job_id)
    async with http.stream("GET", follower.path) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            for event in follower.feed(line):
                if event.is_last:
                    return event.data
    raise httpx.RemoteProtocolError("the event stream ended early")


class ImagesApi:
    """POST /v1/images/generations; the answer is the result. Any server of OpenAI's contract can be measured so."""

    async def send(self, http: httpx.AsyncClient, offer: Offer, deadline_s: float | None) -> Answer:
        body = {"model": offer.workflow, **offer.inputs}
        if deadline_s is not None:
            body["deadline_s"] = deadline_s  # brickwork's own field
        response = await http.post("/v1/images/generations", json=body)
        if not response.is_success:
            return _refused(response)
        if not response.json()["data"]:
            raise ValueError("the answer has no picture")
        return Answer(Outcome.SUCCEEDED)


def _refused(response: httpx.Response) -> Answer:
    text = f"{response.status_code}: {_message(response)}"
    if response.status_code != 429:
        return Answer(Outcome.FAILED, text)
    seconds = retry_after_s(response)
    if seconds is None and response.headers.get("retry-after", "").isdigit():
        seconds = float(response.headers["retry-after"])
    return Answer(Outcome.REJECTED, text, seconds)


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200] or response.reason_phrase


class Servers:
    """One or more equal servers; each request goes to the one with the fewest in flight. An async context manager.

    urls              "http://127.0.0.1:8000"
    tells_deadline    whether servers learn the deadline of a request; it is measured against it in any case
    raises            InputError about `url`
    """

    def __init__(self, urls: Sequence[str], api: Api, tells_deadline: bool = True):
        for url in urls:
            _check(url)
        self._api = api
        self._tells_deadline = tells_deadline
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)  # bounded by who sends
        self._clients = [httpx.AsyncClient(base_url=url, timeout=None, limits=limits) for url in urls]
        self._in_flight = [0] * len(urls)

    async def send(self, offer: Offer) -> Answer:
        """Send a request and wait for its result, however long that takes. Whatever goes wrong is an answer too."""
        at = min(range(len(self._clients)), key=self._in_flight.__getitem__)
        self._in_flight[at] += 1
        try:
            return await self._api.send(self._clients[at], offer, offer.deadline_s if self._tells_deadline else None)
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            return Answer(Outcome.FAILED, f"{type(error).__name__}: {error}")
        finally:
            self._in_flight[at] -= 1

    async def inputs_of(self, workflow: str, timeout_s: float) -> frozenset[str]:
        """Names of the inputs that a brickwork server declares for a workflow.

        raises    Unreachable; BrickworkError when it is no brickwork server; InputError about `workflow`
        """
        url = self._clients[0].base_url
        try:
            response = await self._clients[0].get("/v1/workflows", timeout=timeout_s)
        except httpx.TransportError as error:
            raise unreachable(url, error) from None
        try:
            served = {each["name"]: each["inputs"].get("properties", {}) for each in response.json()["data"]}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BrickworkError(
                f"{url} does not list its workflows ({response.status_code}). Is it `brickwork serve`?"
            ) from None
        if workflow not in served:
            raise InputError("workflow", f"{url} does not serve {workflow!r}; it serves: {', '.join(served)}")
        return frozenset(served[workflow])

    async def __aenter__(self) -> "Servers":
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            await client.aclose()


def _check(url: str) -> None:
    try:
        parsed = httpx.URL(url)
        is_good = parsed.scheme in ("http", "https") and bool(parsed.host)
    except httpx.InvalidURL:
        is_good = False
    if not is_good:
        raise InputError("url", f"expected an address such as http://127.0.0.1:8000, got {url[:80]!r}")
