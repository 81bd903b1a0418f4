"""A request from its submission to its end, as the caller sees it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from brickwork.compiler.plan import Plan
from brickwork.core.ids import RequestId
from brickwork.core.request import Scalar


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one task of a request is. `steps` is 1 for tasks without a loop."""

    request_id: RequestId
    task: str  # name in the plan: "denoise"
    step: int
    steps: int
    preview: bytes = b""  # PNG of the picture so far, twice a second at most; else empty


@dataclass(frozen=True, slots=True)
class Result:
    """What a request gave."""

    request_id: RequestId
    outputs: dict[str, Any]  # by result name: a PIL image, a Video, a numpy array, or a scalar
    seconds: float  # from submission to result, on the coordinator

    @property
    def image(self) -> Any:
        """The only output, or the one named "image", as a PIL image."""
        return self._output("image")

    @property
    def video(self) -> Any:
        """The only output, or the one named "video": a Video, with `frames` and `save(path)`."""
        return self._output("video")

    def _output(self, name: str) -> Any:
        if name in self.outputs:
            return self.outputs[name]
        if len(self.outputs) == 1:
            return next(iter(self.outputs.values()))
        raise AttributeError(f"this workflow gives {', '.join(self.outputs)}; use .outputs[name]")


@dataclass(slots=True)
class Run:
    """A submitted request on the event loop."""

    request_id: RequestId
    plan: Plan
    submitted_s: float
    on_progress: Callable[[Progress], None] | None
    ended_s: float = 0.0  # when its end was known
    lowered: tuple[tuple[str, Scalar], ...] = ()  # inputs that were lowered rather than refuse it, with their values
    finished: "asyncio.Future[Result]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
