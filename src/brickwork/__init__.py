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
from brickwork.workflow.api import Image, Size, Workflow, input, workflow
from brickwork.workflow.catalog import family

if TYPE_CHECKING:
    from brickwork.coordinator.cluster import Cluster, run

__all__ = [
    "workflow", "family", "input", "Image", "Size", "Workflow", "run", "Cluster",
    "BrickworkError", "Cancelled", "InputError", "ModelError", "Rejected", "RequestFailed", "WorkflowError",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in ("run", "Cluster"):
        from brickwork.coordinator import cluster

        return getattr(cluster, name)
    raise AttributeError(f"module 'brickwork' has no attribute {name!r}")
