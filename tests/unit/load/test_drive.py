"""Goal: the load tool offers the load it says (open loop), and tells truly what became of each request.

Method: the real driver against a real HTTP server on loopback, which answers by script. That requests do not wait for
each other is shown without any timing: the server answers nobody until it has received them all.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import pytest

from brickwork.core.errors import BrickworkError, InputError, RequestFailed
from brickwork.core.request import Outcome
from brickwork.load.drive import Drive, Sent, solo_latency_s
from brickwork.load.offers import Offer
from brickwork.load.result import result_of
from brickwork.load.servers import Api, ImagesApi, JobsApi, Servers
from support.scripted_server import Received, Reply, Script, ScriptedServer

PICTURE = Reply(body={"created": 1, "data": [{"b64_json": "aGk="}]})


def offer(number: int, due_s: float = 0.0, deadline_s: float | None = 30.0) -> Offer:
    return Offer(number, due_s, "text-to-image", {"prompt": "a red circle", "seed": number}, deadline_s)


def run(
    script: Script,
    offers: list[Offer],
    api: Api | None = None,
    max_connections: int = 100,
    timeout_s: float = 30.0,
    tells_deadline: bool = True,
) -> tuple[Drive, ScriptedServer]:
    async def main() -> tuple[Drive, ScriptedServer]:
        async with (
            ScriptedServer(script) as server,
            Servers([server.url], api or ImagesApi(), tells_deadline) as servers,
        ):
            drive = Drive(servers, offers, max_connections, timeout_s)
            await drive.run()
            return drive, server

    return asyncio.run(main())


def by_number(drive: Drive) -> list[Sent]:
    return sorted(drive.ended, key=lambda sent: sent.offer.number)


def always(reply: Reply | None) -> Script:
    async def script(_received: Received) -> Reply | None:
        return reply

    return script


class TestOpenLoop:
    def test_nobody_waits_for_the_answers_of_others(self) -> None:
        """A closed loop of fewer than 40 would hang here: no answer comes before the last request."""
        all_here = asyncio.Event()
        count = 0

        async def script(_received: Received) -> Reply:
            nonlocal count
            count += 1
            if count == 40:
                all_here.set()
            await all_here.wait()
            return PICTURE

        drive, _ = run(script, [offer(k, due_s=k * 0.005) for k in range(40)])
        assert [sent.sample.outcome for sent in drive.ended] == [Outcome.SUCCEEDED] * 40
        assert drive.in_flight == 0

    def test_nothing_is_sent_before_it_is_due(self) -> None:
        offers = [offer(k, due_s) for k, due_s in enumerate([0.0, 0.05, 0.05, 0.12, 0.3])]
        began_s = monotonic()
        drive, server = run(always(PICTURE), offers)
        at_s = {received.body["seed"]: received.at_s - began_s for received in server.received}
        assert all(at_s[each.number] >= each.due_s for each in offers)
        assert all(sent.sent_late_s >= 0 for sent in drive.ended)

    def test_connections_are_bounded_and_waiting_for_one_counts_as_late(self) -> None:
        """
        1. Two requests are due at once, one connection is allowed.
        2. The server keeps the first one for 0.1 s.
        3. The second one is sent after that, and its latency counts from when it was due.
        """

        async def script(_received: Received) -> Reply:
            await asyncio.sleep(0.1)
            return PICTURE

        drive, server = run(script, [offer(0), offer(1)], max_connections=1)
        first, second = by_number(drive)
        assert server.connections == 1
        assert second.sent_late_s >= 0.1 > first.sent_late_s
        assert second.latency_s >= 0.2
        assert result_of(drive, 0.0, 1.0).late_sends >= 1

    def test_each_request_goes_to_the_server_with_the_fewest_in_flight(self) -> None:
        """The first server never answers its only request while the second one serves all the others."""
        served = asyncio.Event()

        async def slow(_received: Received) -> Reply:
            await served.wait()
            return PICTURE

        async def main() -> tuple[int, int]:
            async with (
                ScriptedServer(slow) as first,
                ScriptedServer(always(PICTURE)) as second,
                Servers([first.url, second.url], ImagesApi()) as servers,
            ):
                busy = asyncio.ensure_future(servers.send(offer(0)))
                while not first.received:
                    await asyncio.sleep(0)
                for k in range(1, 6):
                    await servers.send(offer(k))
                served.set()
                await busy
                return len(first.received), len(second.received)

        assert asyncio.run(main()) == (1, 5)


REFUSAL = {"error": {"message": "The executors are busy.", "type": "rate_limit_error"}}

ANSWERS: dict[str, tuple[Reply | None, Outcome, float | None, str]] = {
    "a picture": (PICTURE, Outcome.SUCCEEDED, None, ""),
    "a refusal": (Reply(429, REFUSAL, {"retry-after": "3", "retry-after-ms": "2250"}), Outcome.REJECTED, 2.25, "busy"),
    "in seconds": (Reply(429, REFUSAL, {"retry-after": "3"}), Outcome.REJECTED, 3.0, "busy"),
    "for ever": (Reply(429, REFUSAL, {"x-should-retry": "false"}), Outcome.REJECTED, None, "busy"),
    "an error": (Reply(500, {"error": {"message": "torch fell over"}}), Outcome.FAILED, None, "500: torch fell over"),
    "a proxy": (Reply(502, "<h1>Bad Gateway</h1>"), Outcome.FAILED, None, "502: <h1>Bad Gateway</h1>"),
    "no JSON": (Reply(200, "hello"), Outcome.FAILED, None, "JSONDecodeError"),
    "no picture": (Reply(200, {"data": []}), Outcome.FAILED, None, "no picture"),
    "another contract": (Reply(200, {"images": []}), Outcome.FAILED, None, "KeyError"),
    "a hang-up": (None, Outcome.FAILED, None, "RemoteProtocolError"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_answers_are_told_apart(case: str) -> None:
    reply, outcome, retry_after_s, error = ANSWERS[case]
    drive, _ = run(always(reply), [offer(0)])
    answer = drive.ended[0].answer
    assert answer is not None
    assert (answer.outcome, answer.retry_after_s) == (outcome, retry_after_s)
    assert error in answer.error


def test_a_server_that_is_not_there_is_a_failure_of_each_request() -> None:
    async def main() -> Drive:
        async with ScriptedServer(always(PICTURE)) as server:
            url = server.url
        async with Servers([url], ImagesApi()) as servers:
            drive = Drive(servers, [offer(0), offer(1)], 10, 30.0)
            await drive.run()
            return drive

    drive = asyncio.run(main())
    assert [sent.sample.outcome for sent in drive.ended] == [Outcome.FAILED] * 2


def test_a_request_without_answer_has_failed_after_its_time() -> None:
    async def never(_received: Received) -> Reply:
        await asyncio.Event().wait()
        return PICTURE

    drive, _ = run(never, [offer(0), offer(1)], timeout_s=0.1, max_connections=1)
    assert [sent.sample.outcome for sent in drive.ended] == [Outcome.FAILED] * 2
    assert result_of(drive, 0.0, 1.0).errors == {"no result within 0.1 s": 2}


@pytest.mark.parametrize("api", [ImagesApi(), JobsApi()], ids=["images", "jobs"])
@pytest.mark.parametrize("tells", [True, False])
def test_the_deadline_is_told_when_that_is_asked_for(api: Api, tells: bool) -> None:
    _, server = run(always(Reply(500)), [offer(0, deadline_s=1.5)], api, tells_deadline=tells)
    body = server.received[0].body
    assert ("deadline_s" in body) is tells and body.get("deadline_s", 1.5) == 1.5


class Jobs:
    """A server of the jobs API whose every job ends as `status`."""

    def __init__(self, status: str = "succeeded", before_end: Callable[[], Awaitable[None]] | None = None):
        self.status = status
        self.before_end = before_end

    async def __call__(self, received: Received) -> Reply:
        if received.path == "/v1/jobs":
            return Reply(201, {"id": "job_1", "status": "queued"})
        if received.path == "/v1/jobs/job_1/events":
            if self.before_end:
                await self.before_end()
            progress = {"task": "denoise", "step": 1, "steps": 2}
            stream = f": hello\n\n{event('1.1', 'progress', progress)}{event('1.2', 'result', self.job())}"
            return Reply(200, stream, {"content-type": "text/event-stream"})
        return Reply(200, "a picture" if received.path.startswith("/v1/artifacts/") else {})

    def job(self) -> dict[str, Any]:
        error = None if self.status == "succeeded" else {"code": self.status, "message": f"It has {self.status}."}
        outputs = [{"name": "image", "url": "/v1/artifacts/sha256-1.png"}, {"name": "steps", "url": None}]
        return {"id": "job_1", "status": self.status, "error": error, "outputs": outputs}


def event(number: str, kind: str, data: object) -> str:
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"


class TestJobs:
    @pytest.mark.parametrize(
        ("status", "outcome"),
        [
            ("succeeded", Outcome.SUCCEEDED),
            ("failed", Outcome.FAILED),
            ("canceled", Outcome.CANCELLED),
            ("rejected", Outcome.REJECTED),
            ("expired", Outcome.EXPIRED),
        ],
    )
    def test_a_job_ends_as_its_last_event_says(self, status: str, outcome: Outcome) -> None:
        drive, _ = run(Jobs(status), [offer(0)], JobsApi())
        assert drive.ended[0].sample.outcome is outcome

    def test_a_job_is_followed_to_its_artifacts(self) -> None:
        drive, server = run(Jobs(), [offer(3)], JobsApi())
        assert drive.ended[0].sample.is_attained
        submission, *reads = server.received
        assert submission.body["inputs"] == {"prompt": "a red circle", "seed": 3}
        assert [read.path for read in reads] == ["/v1/jobs/job_1/events", "/v1/artifacts/sha256-1.png"]

    def test_a_stream_that_ends_early_is_a_failure(self) -> None:
        async def script(received: Received) -> Reply:
            return Reply(201, {"id": "job_1"}) if received.method == "POST" else Reply(200, ": hello\n\n")

        drive, _ = run(script, [offer(0)], JobsApi())
        assert result_of(drive, 0.0, 1.0).errors == {"RemoteProtocolError: the event stream ended early": 1}

    def test_a_job_that_nobody_waits_for_is_cancelled(self) -> None:
        async def never() -> None:
            await asyncio.Event().wait()

        _, server = run(Jobs(before_end=never), [offer(0)], JobsApi(), timeout_s=0.1)
        assert server.received[-1].path == "/v1/jobs/job_1/cancel"


class TestCutOff:
    def test_what_was_measured_is_kept(self) -> None:
        """
        1. Request 0 is answered; 1 and 2 are not, and the deadline of 1 has passed; 3 is not due yet.
        2. The run is cut off: 1 is missed, 2 says nothing, 3 was never offered.
        """

        async def script(received: Received) -> Reply:
            if received.body["seed"] > 0:
                await asyncio.Event().wait()
            return PICTURE

        async def main() -> Drive:
            async with ScriptedServer(script) as server, Servers([server.url], ImagesApi()) as servers:
                offers = [offer(0), offer(1, deadline_s=1e-6), offer(2, deadline_s=60.0), offer(3, due_s=60.0)]
                drive = Drive(servers, offers, 10, 30.0)
                running = asyncio.ensure_future(drive.run())
                while len(drive.ended) < 1 or len(server.received) < 3:
                    await asyncio.sleep(0.001)
                running.cancel()
                await asyncio.wait([running])
                return drive

        drive = asyncio.run(main())
        result = result_of(drive, 0.0, end_s=60.0)
        assert [(sent.offer.number, sent.sample.outcome) for sent in by_number(drive)] == [
            (0, Outcome.SUCCEEDED),
            (1, None),
        ]
        assert (result.total.offered, result.total.attained, result.total.failed, result.undecided) == (2, 1, 1, 1)
        assert result.seconds < 60


def test_the_warm_up_is_left_out() -> None:
    async def script(received: Received) -> Reply:
        return PICTURE if received.body["seed"] >= 2 else Reply(500)

    drive, _ = run(script, [offer(0), offer(1, 0.01), offer(2, 0.02), offer(3, 0.03)])
    result = result_of(drive, warm_up_s=0.02, end_s=0.52)
    assert (result.total.offered, result.total.attained, result.errors) == (2, 2, {})
    assert result.seconds == 0.5  # nothing was due in the rest of it, which is part of the load


def test_refusals_say_when_to_come_back_in_the_middle() -> None:
    async def script(received: Received) -> Reply:
        return Reply(429, REFUSAL, {"retry-after-ms": str(1000 * received.body["seed"])})

    drive, _ = run(script, [offer(k) for k in (1, 2, 9)])
    assert result_of(drive, 0.0, 1.0).retry_after_s_p50 == 2.0


class TestSolo:
    def test_requests_go_one_after_the_other_and_the_first_does_not_count(self) -> None:
        at_once = most_at_once = 0

        async def script(received: Received) -> Reply:
            nonlocal at_once, most_at_once
            at_once += 1
            most_at_once = max(most_at_once, at_once)
            await asyncio.sleep(0.3 if received.body["seed"] == 0 else 0.02)
            at_once -= 1
            return PICTURE

        async def main() -> float:
            async with ScriptedServer(script) as server, Servers([server.url], ImagesApi()) as servers:
                return await solo_latency_s(servers, [offer(k, deadline_s=None) for k in range(4)], 30.0)

        assert asyncio.run(main()) >= 0.02
        assert most_at_once == 1

    def test_a_server_that_cannot_do_it_is_told(self) -> None:
        async def main() -> None:
            async with (
                ScriptedServer(always(Reply(400, {"error": {"message": "image: it is required."}}))) as server,
                Servers([server.url], ImagesApi()) as servers,
            ):
                await solo_latency_s(servers, [offer(0)], 30.0)

        with pytest.raises(RequestFailed, match="image: it is required"):
            asyncio.run(main())


class TestInputs:
    LISTED: dict[str, Any] = {"data": [{"name": "poster", "inputs": {"properties": {"prompt": {}, "steps": {}}}}]}  # noqa: RUF012

    def names(self, reply: Reply, workflow: str) -> frozenset[str]:
        async def main() -> frozenset[str]:
            async with ScriptedServer(always(reply)) as server, Servers([server.url], JobsApi()) as servers:
                return await servers.inputs_of(workflow, timeout_s=30.0)

        return asyncio.run(main())

    def test_they_are_read_from_the_server(self) -> None:
        assert self.names(Reply(body=self.LISTED), "poster") == {"prompt", "steps"}

    def test_an_unknown_workflow_is_told_with_those_that_are_served(self) -> None:
        with pytest.raises(InputError, match=r"workflow: .*'postr'; it serves: poster"):
            self.names(Reply(body=self.LISTED), "postr")

    @pytest.mark.parametrize("reply", [Reply(404), Reply(200, "<html>"), Reply(200, [1])])
    def test_another_server_is_told(self, reply: Reply) -> None:
        with pytest.raises(BrickworkError, match="brickwork serve"):
            self.names(reply, "poster")


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://127.0.0.1", "http://", "http://[::1"])
def test_a_bad_address_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="url: expected an address"):
        Servers([url], ImagesApi())
