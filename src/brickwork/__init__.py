"""brickwork serves generative-media workflows model by model. In examples: `import brickwork as bw`.

Declaring workflows needs no torch; what runs them is imported when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

from brickwork.core.errors import (
    BrickworkError,
    Cancelled,
    InputError,
    ModelError,
    Rejected,
    RequestFailed,
    WorkflowError,
)
from brickwork.workflow.api import Image, Size, Video, Workflow, input, workflow
from brickwork.workflow.catalog import family

if TYPE_CHECKING:
    from brickwork.client.aio import AsyncClient
    from brickwork.client.client import Client
    from brickwork.coordinator.cluster import Cluster, run

__all__ = [
    "workflow", "family", "input", "Image", "Video", "Size", "Workflow", "run", "Cluster", "Client", "AsyncClient",
    "BrickworkError", "Cancelled", "InputError", "ModelError", "Rejected", "RequestFailed", "WorkflowError",
]  # fmt: skip


_LAZY = {
    "run": "brickwork.coordinator.cluster",
    "Cluster": "brickwork.coordinator.cluster",
    "Client": "brickwork.client.client",
    "AsyncClient": "brickwork.client.aio",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'brickwork' has no attribute {name!r}")
