"""OpenAI's images contract (interfaces B1): the official client works unmodified, streaming included.

`model` is a workflow that takes a prompt and gives an image; its other inputs are accepted as further fields.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import time
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, Field, create_model

from brickwork.compiler.artifacts import FILES, key_type
from brickwork.coordinator.values import output_types
from brickwork.core.errors import InputError
from brickwork.server.answers import (
    ERRORS,
    ClientGone,
    EventStream,
    IdempotencyKey,
    Sender,
    sender,
    while_connected,
)
from brickwork.server.errors import ApiError, as_api_error, body, retry_headers
from brickwork.server.pictures import reencoded
from brickwork.server.schema import JobOptions, Strict, given, input_fields, one_of
from brickwork.server.service import Service
from brickwork.server.views import artifact_url
from brickwork.store.artifacts import ArtifactKey
from brickwork.store.jobs import Job
from brickwork.store.states import JobState
from brickwork.workflow.api import Workflow
from brickwork.workflow.inputs import show_size

CLIENT_CLOSED = 499
"""What the log shows of a request whose client hung up (nginx's number); nobody receives it."""

MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


class ImageOptions(JobOptions):
    """The contract's own fields. Values that this server cannot honour are not listed, and so refused."""

    n: Annotated[int, Field(ge=1, le=10, description="Pictures; they differ by their seeds, counted from `seed`.")] = 1
    quality: Annotated[Literal["auto", "standard"], Field(description="There is one quality; see `steps`.")] = "auto"
    response_format: Literal["b64_json", "url"] = "b64_json"
    output_format: Literal["png", "jpeg", "webp"] = "png"
    output_compression: Annotated[int | None, Field(ge=0, le=100, description="Quality of jpeg and webp.")] = None
    background: Annotated[Literal["auto", "opaque"], Field(description="Pictures are opaque.")] = "auto"
    moderation: Annotated[Literal["auto", "low"], Field(description="Nothing is moderated.")] = "auto"
    stream: bool = False
    partial_images: Annotated[int, Field(ge=0, le=3, description="Previews to send, at most; of streams.")] = 0
    user: Annotated[str | None, Field(max_length=512, description="Taken and not used.")] = None


class ImageData(BaseModel):
    b64_json: str | None = None
    url: str | None = None


class ImagesResponse(BaseModel):
    """As OpenAI's."""

    created: int
    data: list[ImageData]
    background: str = "opaque"
    output_format: str
    quality: str = "standard"
    size: str | None = None


def image_workflows(workflows: list[Workflow]) -> dict[str, Workflow]:
    """Those that the contract can name: a prompt in, a picture's file out (`compiler.artifacts`), and no input that
    means something else there."""
    return {workflow.name: workflow for workflow in workflows if _is_for_images(workflow)}


def _is_for_images(workflow: Workflow) -> bool:
    names = {item.name for item in workflow.inputs}
    has_picture = key_type(FILES["image"]) in output_types(workflow.plan).values()
    return "prompt" in names and has_picture and not names & {"model", *ImageOptions.model_fields}


def image_body(workflows: dict[str, Workflow]) -> Any:
    """The body of POST /v1/images/generations: one model a workflow, told apart by `model`."""
    default = next(iter(workflows))
    return one_of({name: _image_model(workflow, name == default) for name, workflow in workflows.items()},
                  "model", default)  # fmt: skip


def _image_model(workflow: Workflow, is_default: bool) -> type[Strict]:
    fields: dict[str, Any] = input_fields(workflow.inputs)
    fields["model"] = (Literal[workflow.name], workflow.name if is_default else ...)
    if all(item.name != "size" for item in workflow.inputs):
        fields["size"] = (Literal["auto"], "auto")
    name = "".join(part.capitalize() for part in workflow.name.split("-"))
    return create_model(f"{name}Image", __base__=ImageOptions, __doc__=workflow.graph.doc or None, **fields)


@dataclass(frozen=True, slots=True)
class _Order:
    """One request, in our words."""

    request: Any  # an ImageOptions with the workflow's inputs
    workflow: Workflow
    base_url: str
    sender: Sender

    def inputs(self, index: int) -> dict[str, Any]:
        """Inputs of the picture at `index`: its seed is that of the request plus `index`."""
        values = given(self.request, self.workflow.inputs)
        if index:
            seeds: list[Any] = [item.default for item in self.workflow.inputs if item.name == "seed"]
            if not seeds:
                raise InputError("n", "this workflow has no seed, so all pictures would be equal; n must be 1")
            values["seed"] = values.get("seed", seeds[0]) + index
        return values


def add_routes(app: FastAPI, service: Service) -> None:
    workflows = image_workflows(list(service.workflows.values()))
    if not workflows:
        return
    body_type = image_body(workflows)

    async def create_image(body: body_type, http: Request, key: IdempotencyKey = None) -> ImagesResponse:  # type: ignore[valid-type]
        """Pictures of a prompt, in OpenAI's contract; with `stream`, previews as they are denoised."""
        request: Any = body
        order = _Order(request, workflows[request.model], str(http.base_url), sender(http, key, request))
        if request.stream and request.n > 1:
            raise InputError("n", "a stream is of one picture; ask for n streams")
        jobs = await _submit(service, order)
        if request.stream:
            return EventStream(_stream(service, order, jobs[0]))  # type: ignore[return-value]
        try:
            return await while_connected(http, _answer(service, order, jobs))
        except ClientGone:
            await _cancel(service, order, jobs)
            return Response(status_code=CLIENT_CLOSED)  # type: ignore[return-value]

    stream = {"description": "The pictures; with `stream`, server-sent events.", "content": {"text/event-stream": {}}}
    app.add_api_route(
        "/v1/images/generations", create_image, methods=["POST"], tags=["OpenAI"], responses={**ERRORS, 200: stream}
    )


async def _submit(service: Service, order: _Order) -> list[Job]:
    """All jobs of a request, or none of them."""
    jobs: list[Job] = []
    slo = order.request.slo(order.workflow.inputs)
    try:
        for index in range(order.request.n):
            part = f"#{index}"
            job, _ = await service.submit(order.workflow.name, order.inputs(index), slo, order.sender, part)
            jobs.append(job)
    except BaseException:
        await _cancel(service, order, jobs)
        raise
    return jobs


async def _cancel(service: Service, order: _Order, jobs: list[Job]) -> None:
    """Nobody waits for these jobs any more; with an idempotency key somebody may come back for them."""
    if order.sender.key is None:
        for job in jobs:
            await service.cancel(job.id)


async def _answer(service: Service, order: _Order, jobs: list[Job]) -> ImagesResponse:
    ended = [await service.wait(job) for job in jobs]
    return ImagesResponse(
        created=int(time()),
        data=[await _image(service, order, job) for job in ended],
        output_format=order.request.output_format,
        size=_size(jobs[0]),
    )


async def _image(service: Service, order: _Order, job: Job) -> ImageData:
    data = await asyncio.to_thread(_file, service, order, _picture_key(job))
    if order.request.response_format == "b64_json":
        return ImageData(b64_json=base64.b64encode(data).decode())
    media_type = MEDIA_TYPES[order.request.output_format]
    key = await asyncio.to_thread(service.artifacts.put, data, media_type)
    return ImageData(url=order.base_url.rstrip("/") + artifact_url(key))


def _file(service: Service, order: _Order, key: ArtifactKey) -> bytes:
    return reencoded(service.artifacts.read(key), order.request.output_format, order.request.output_compression)


def _picture_key(job: Job) -> ArtifactKey:
    """The picture of a job that has ended. raises ApiError when it has none"""
    if job.state is JobState.SUCCEEDED:
        keys = [value for _, value in job.results if isinstance(value, ArtifactKey)]
        return dict(job.results).get("image") or keys[0]  # type: ignore[return-value]
    status = 500 if job.state is JobState.FAILED else 409
    text = job.error.message if job.error else f"It is {job.state}."
    raise ApiError(status, job.state, f"Job {job.id}: {text}", headers=retry_headers(None))


def _size(job: Job) -> str | None:
    size: Any = dict(job.values).get("size")
    return show_size(size) if isinstance(size, tuple) else None


async def _stream(service: Service, order: _Order, job: Job) -> AsyncIterator[str]:
    """`image_generation.partial_image` events, then `image_generation.completed`; an `error` event instead of it."""
    sent = 0
    is_over = False
    try:
        async for event in await service.events(job.id, None):
            if event is None:
                yield ": keep-alive\n\n"
            elif event.kind == "preview" and sent < order.request.partial_images:
                picture = base64.b64decode(json.loads(event.data)["b64_png"])
                yield await _image_event(order, job, "partial_image", picture, partial_image_index=sent)
                sent += 1
        is_over = True
        file = await asyncio.to_thread(service.artifacts.read, _picture_key(await service.wait(job)))
        yield await _image_event(order, job, "completed", file, usage=_USAGE)
    except Exception as error:
        yield f"event: error\ndata: {json.dumps(body(as_api_error(error)))}\n\n"
    finally:
        if not is_over:
            await _cancel(service, order, [job])


_USAGE = {
    "input_tokens": 0, "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0, "total_tokens": 0,
}  # fmt: skip
"""The contract demands it; nothing is counted in tokens here."""


async def _image_event(order: _Order, job: Job, name: str, png: bytes, **more: Any) -> str:
    file_format, quality = order.request.output_format, order.request.output_compression
    data = await asyncio.to_thread(reencoded, png, file_format, quality)
    event = {
        "type": f"image_generation.{name}",
        "b64_json": base64.b64encode(data).decode(),
        "created_at": int(time()),
        "size": _size(job),
        "quality": "standard",
        "background": "opaque",
        "output_format": file_format,
        **more,
    }
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
