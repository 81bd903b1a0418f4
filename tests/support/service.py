"""A server without a socket, in the test's own process: for what a server does not tell over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from brickwork.compiler.artifacts import write_artifacts
from brickwork.coordinator.coordinator import Coordinator
from brickwork.coordinator.embedded import embedded
from brickwork.server.app import build_app
from brickwork.server.metrics import Metrics
from brickwork.server.service import Service
from brickwork.store.artifacts import ArtifactDirectory
from brickwork.store.sqlite import SqliteJobStore
from brickwork.workflow.api import Workflow


@asynccontextmanager
async def served(
    workflow: Workflow, state_dir: Path, executors: int
) -> AsyncIterator[tuple[httpx.AsyncClient, Service, Coordinator]]:
    """A client of a server of one workflow, its service and its coordinator."""
    artifacts = state_dir / "artifacts"
    workflows = {workflow.name: Workflow(write_artifacts(workflow.graph, artifacts), workflow.where)}
    with SqliteJobStore(state_dir) as store:
        metrics, coordinator = Metrics(workflows), embedded(executors, 1, 1 << 30)
        service = Service(store, ArtifactDirectory(artifacts), coordinator, workflows, metrics)
        transport = httpx.ASGITransport(build_app(service, 10_000_000))
        try:
            await service.start(keep_s=3600)
            async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
                yield client, service, coordinator
        finally:
            await service.close()
