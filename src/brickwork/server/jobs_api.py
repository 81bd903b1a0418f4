"""The native API: any registered workflow as a durable job."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Path, Query, Request, Response
from pydantic import ConfigDict

from brickwork.server.answers import ERRORS, ERRORS_BESIDE_FILES, EventStream, IdempotencyKey, sender
from brickwork.server.feed import Event
from brickwork.server.schema import Strict, given, job_body
from brickwork.server.service import Service
from brickwork.server.views import JobList, JobView, view
from brickwork.store.states import JobState

JobIdPath = Annotated[str, Path(alias="job_id", max_length=80, description="As POST /v1/jobs returned it.")]
LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", max_length=80, description="The last event that the client has; it goes on there."),
]


class JobQuery(Strict):
    """Which jobs to list."""

    model_config = ConfigDict(strict=False)  # a query has only texts

    status: JobState | None = None
    after: Annotated[str | None, Query(max_length=80, description="Last id of the page before.")] = None
    limit: Annotated[int, Query(ge=1, le=500)] = 50


def add_routes(app: FastAPI, service: Service) -> None:
    body_type = job_body(list(service.workflows.values()))

    async def create_job(
        body: body_type,  # type: ignore[valid-type]
        http: Request,
        response: Response,
        key: IdempotencyKey = None,
    ) -> JobView:
        """Take a job. 201 means that it is on disk and will end, whatever happens to the server."""
        request: Any = body
        declared = service.workflows[request.workflow].inputs
        sent = sender(http, key, request)
        job, is_replay = await service.submit(
            request.workflow, given(request.inputs, declared), request.slo(declared), sent
        )
        response.headers["location"] = f"/v1/jobs/{job.id}"
        if is_replay:
            response.headers["idempotency-replayed"] = "true"
        return view(job)

    async def list_jobs(query: Annotated[JobQuery, Query()], http: Request) -> JobList:
        """Jobs, the newest first."""
        jobs, has_more = await service.page(query.status, query.after, query.limit, http.scope["tenant"])
        return JobList(data=jobs, has_more=has_more)

    async def get_job(job_id: JobIdPath, http: Request) -> JobView:
        """One job, with the progress of its tasks while it runs and its outputs once it has succeeded."""
        return await service.get(job_id, http.scope["tenant"])

    async def cancel_job(job_id: JobIdPath, http: Request) -> JobView:
        """End a job at its next step. Repeating it, or canceling a job that has ended, changes nothing."""
        return await service.cancel(job_id, http.scope["tenant"])

    async def job_events(job_id: JobIdPath, http: Request, seen: LastEventId = None) -> EventStream:
        """Server-sent events: `snapshot` (the job), `state`, `progress`, `preview` (a PNG), `result` (the job)."""
        return EventStream(_stream(service, await service.events(job_id, seen, http.scope["tenant"])))

    def route(path: str, endpoint: Any, method: Literal["GET", "POST"], **options: Any) -> None:
        app.add_api_route(path, endpoint, methods=[method], tags=["jobs"], **{"responses": ERRORS, **options})

    route("/v1/jobs", create_job, "POST", status_code=201)
    route("/v1/jobs", list_jobs, "GET")
    route("/v1/jobs/{job_id}", get_job, "GET")
    route("/v1/jobs/{job_id}/cancel", cancel_job, "POST")
    stream = {"status_code": 200, "response_class": EventStream, "responses": ERRORS_BESIDE_FILES}
    route("/v1/jobs/{job_id}/events", job_events, "GET", **stream)


async def _stream(service: Service, events: AsyncIterator[Event | None]) -> AsyncIterator[str]:
    service.metrics.streams.inc()
    try:
        async for event in events:
            yield ": keep-alive\n\n" if event is None else event.sse()
    finally:
        service.metrics.streams.dec()
