"""Beside the jobs: models and workflows, executors, artifacts, health, metrics, and the page."""

import asyncio
from importlib.resources import files
from time import time
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Path
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from brickwork.server.answers import ERRORS, ERRORS_BESIDE_FILES
from brickwork.server.errors import NotFound, Unavailable
from brickwork.server.images_api import image_workflows
from brickwork.server.schema import inputs_model
from brickwork.server.service import Service
from brickwork.store.artifacts import ArtifactKey
from brickwork.workflow.api import Workflow


class Model(BaseModel):
    """A workflow, as OpenAI's contract calls it."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "brickwork"


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


class WorkflowView(BaseModel):
    """A workflow, with the JSON Schema of its inputs."""

    name: str
    doc: str
    inputs: dict[str, Any]
    takes_prompt: bool


class WorkflowList(BaseModel):
    object: Literal["list"] = "list"
    data: list[WorkflowView]


class ExecutorView(BaseModel):
    """An executor that is connected, and the models that it holds."""

    id: str
    pid: int | None
    models: list[str]


class ExecutorList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ExecutorView]


class Health(BaseModel):
    status: str


FOR_EVER = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
"""An artifact never changes."""

ArtifactPath = Annotated[str, Path(max_length=100, description="As a job's outputs name it.")]


def add_routes(app: FastAPI, service: Service) -> None:
    def route(path: str, endpoint: Any, **options: Any) -> None:
        responses = ERRORS_BESIDE_FILES if "response_class" in options else ERRORS
        app.add_api_route(path, endpoint, methods=["GET"], responses=responses, **options)

    _add_catalog(route, service)
    _add_state(route, service)


def _add_catalog(route: Any, service: Service) -> None:
    started_s = int(time())
    models = {name: Model(id=name, created=started_s) for name in image_workflows(list(service.workflows.values()))}
    workflows = [_shown(workflow, workflow.name in models) for workflow in service.workflows.values()]
    page = files("brickwork.server").joinpath("page/index.html").read_text("utf-8")

    async def list_models() -> ModelList:
        """Workflows that /v1/images/generations can name."""
        return ModelList(data=list(models.values()))

    async def get_model(model: Annotated[str, Path(max_length=200)]) -> Model:
        if model not in models:
            raise NotFound("model", model)
        return models[model]

    async def list_workflows() -> WorkflowList:
        """Workflows that jobs can name, and what each takes."""
        return WorkflowList(data=workflows)

    async def index() -> HTMLResponse:
        return HTMLResponse(page, headers={"content-security-policy": PAGE_POLICY})

    route("/v1/models", list_models, tags=["OpenAI"])
    route("/v1/models/{model}", get_model, tags=["OpenAI"])
    route("/v1/workflows", list_workflows, tags=["jobs"])
    route("/", index, response_class=HTMLResponse, include_in_schema=False)


PAGE_POLICY = "default-src 'self'; img-src 'self' data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""The page takes nothing from elsewhere."""


def _shown(workflow: Workflow, takes_prompt: bool) -> WorkflowView:
    schema = inputs_model(workflow).model_json_schema()
    return WorkflowView(name=workflow.name, doc=workflow.graph.doc, inputs=schema, takes_prompt=takes_prompt)


def _add_state(route: Any, service: Service) -> None:
    async def list_executors() -> ExecutorList:
        """Executors that are connected."""
        return ExecutorList(data=[ExecutorView(**executor) for executor in service.executors()])

    async def get_artifact(artifact_id: ArtifactPath) -> FileResponse:
        """The bytes of a result."""
        try:
            key = ArtifactKey(artifact_id)
        except ValueError:
            raise NotFound("artifact", artifact_id) from None
        if not await asyncio.to_thread(service.artifacts.exists, key):
            raise NotFound("artifact", artifact_id)
        return FileResponse(service.artifacts.path(key), media_type=key.media_type, headers=FOR_EVER)

    async def healthz() -> Health:
        """The process lives."""
        return Health(status="ok")

    async def readyz() -> Health:
        """Jobs are taken; 503 while the server starts or stops, or cannot write its state."""
        if service.refusal:
            raise Unavailable("not_ready", service.refusal)
        if service.storage.refusal:
            raise Unavailable("storage", service.storage.refusal)
        return Health(status="ready")

    async def metrics() -> PlainTextResponse:
        """For Prometheus."""
        service.metrics.executors.set(len(service.executors()))
        service.metrics.count_output_waits(service.output_waits)
        text = await asyncio.to_thread(service.metrics.page)
        return PlainTextResponse(text, media_type=CONTENT_TYPE_LATEST)

    route("/v1/executors", list_executors, tags=["jobs"])
    route("/v1/artifacts/{artifact_id}", get_artifact, tags=["jobs"], status_code=200, response_class=FileResponse)
    route("/healthz", healthz, tags=["operations"])
    route("/readyz", readyz, tags=["operations"])
    route("/metrics", metrics, tags=["operations"], response_class=PlainTextResponse)
