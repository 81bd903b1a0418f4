"""The embedded cluster: a coordinator on an event loop of its own thread, its executors as child processes.

This is what `bw.run`, `bw.Cluster` and the command line use. Callers may be in any thread; nothing here needs the
caller's script to guard its `__main__`.
"""

import asyncio
import atexit
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

from brickwork.control.machine import Control
from brickwork.coordinator.coordinator import Submission
from brickwork.coordinator.embedded import embedded, submission_of
from brickwork.coordinator.runs import Progress, Result, Run
from brickwork.core.errors import BrickworkError
from brickwork.core.ids import ExecutorId, RequestId
from brickwork.core.request import SLO
from brickwork.observe.spans import Span
from brickwork.workflow.api import Workflow
from brickwork.workflow.inputs import check_degrade

log = logging.getLogger(__name__)

T = TypeVar("T")

START_TIMEOUT_S = 120.0
"""For the first executor to join: importing torch and diffusers takes 3-5 s on an idle machine."""

CLOSE_TIMEOUT_S = 5.0
"""For everything to stop; what has not stopped by then is killed."""

CANCEL_TIMEOUT_S = 30.0
"""For a cancelled run to reach its next step boundary."""


class Handle:
    """A submitted run. Safe to use from any thread."""

    def __init__(self, cluster: "Cluster", run: Run, future: "Future[Result]"):
        self._cluster = cluster
        self._future = future
        self.request_id: RequestId = run.request_id

    def result(self, timeout_s: float | None = None) -> Result:
        """Wait for the end.

        raises    RequestFailed, Rejected, Cancelled; TimeoutError after `timeout_s`, and the run goes on
        """
        try:
            return self._future.result(timeout_s)
        except FutureTimeout:
            raise TimeoutError(f"{self.request_id} did not end within {timeout_s} s") from None

    def is_done(self) -> bool:
        return self._future.done()

    def cancel(self) -> None:
        """Ask for the end at the next step boundary; `result` then raises Cancelled."""
        self._cluster.cancel(self.request_id)


class Cluster:
    """Executors on this host, and a coordinator in this process.

    executors       number of executor processes
    threads         torch threads of each
    memory_bytes    budget of each for all that it holds: weights, activations, adapters, and 64 MiB for itself
    start_method    "forkserver" (fast, shares memory) or "spawn" (an interpreter each)
    control         who decides, used by this cluster alone; None: the shipped policies with the starter's profile

    Use as a context manager, or call `close`; at the interpreter's exit it is closed anyway.
    """

    def __init__(
        self,
        executors: int = 2,
        threads: int = 1,
        memory_bytes: int = 1 << 30,
        start_method: str = "forkserver",
        control: Control | None = None,
    ):
        self._coordinator = embedded(executors, threads, memory_bytes, start_method, control)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="brickwork-coordinator")
        self._is_closed = False
        self._thread.start()
        atexit.register(self.close)
        try:
            self._call(self._coordinator.start()).result(START_TIMEOUT_S)
        except FutureTimeout:
            self.close()
            raise BrickworkError(f"No executor joined within {START_TIMEOUT_S:.0f} s. Try brickwork doctor.") from None
        except BaseException:
            self.close()
            raise

    def submit(
        self,
        workflow: Workflow,
        *,
        deadline_s: float | None = None,
        deterministic: bool = False,
        if_late: Literal["stop", "continue"] = "stop",
        degrade: Mapping[str, int] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        **inputs: Any,
    ) -> Handle:
        """Validate the inputs and hand the request to the scheduler.

        deadline_s      seconds from now in which the result is wanted; a request that cannot make it is refused
        deterministic   never share a batch, so that the result is bit-equal whatever else runs
        if_late         once the deadline cannot be met: "stop" (`result` raises Expired) or "continue" as best effort
        degrade         int inputs that may be lowered rather than refuse, with their least values: {"steps": 8}
        on_progress     called from the coordinator's thread; must be quick and not raise
        raises          InputError for a bad input
        """
        if self._is_closed:
            raise BrickworkError("The cluster is closed. Make a new one.")
        slo = SLO(deadline_s, deterministic, if_late, check_degrade(workflow.inputs, degrade or {}))
        submission = submission_of(workflow, inputs, slo)
        future: Future[Result] = Future()
        run = self._call(self._submit(submission, on_progress, future)).result()
        return Handle(self, run, future)

    def run(self, workflow: Workflow, **options: Any) -> Result:
        """`submit` and wait. Ctrl-C cancels the request."""
        handle = self.submit(workflow, **options)
        try:
            return handle.result()
        except KeyboardInterrupt:
            handle.cancel()
            raise

    def cancel(self, request_id: RequestId) -> None:
        self._loop.call_soon_threadsafe(self._coordinator.cancel, request_id)

    def story(self, request_id: RequestId) -> list[str]:
        """Why things happened to a request, in order."""
        return self._ask(lambda: self._coordinator.story(request_id))

    def residency(self) -> dict[ExecutorId, list[str]]:
        """Loaded models, by executor."""
        return self._ask(self._coordinator.residency)

    def pids(self) -> dict[ExecutorId, int]:
        """Process ids of the executors that are connected."""
        return self._ask(self._coordinator.pids)

    def timeline(self, request_id: RequestId | None = None) -> list[Span]:
        """What ran where and when."""
        return self._ask(lambda: self._coordinator.timeline.spans(request_id))

    def write_trace(self, path: Path) -> None:
        """Write the timeline as Chrome trace JSON, which ui.perfetto.dev opens."""
        self._ask(lambda: self._coordinator.timeline.write_chrome_trace(path))

    def leaked_blocks(self) -> int:
        """Blocks of tensor memory in use; 0 when no request is running."""
        return self._ask(self._coordinator.leaked_blocks)

    def close(self) -> None:
        """Stop everything within CLOSE_TIMEOUT_S. Idempotent; runs that have not ended raise Cancelled."""
        if self._is_closed:
            return
        self._is_closed = True
        atexit.unregister(self.close)
        try:
            self._call(self._coordinator.close()).result(CLOSE_TIMEOUT_S)
        except FutureTimeout:
            log.warning("not everything stopped within %.0f s; the rest ends with this process", CLOSE_TIMEOUT_S)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CLOSE_TIMEOUT_S)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    async def _submit(
        self, submission: Submission, on_progress: Callable[[Progress], None] | None, future: "Future[Result]"
    ) -> Run:
        run = self._coordinator.submit(submission, on_progress)
        run.finished.add_done_callback(lambda finished: _copy(finished, future))
        return run

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _ask(self, question: Callable[[], T]) -> T:
        async def ask() -> T:
            return question()

        return self._call(ask()).result()


def _copy(source: "asyncio.Future[Result]", target: "Future[Result]") -> None:
    error = source.exception()
    if error is not None:
        target.set_exception(error)
    else:
        target.set_result(source.result())


def run(workflow: Workflow, **options: Any) -> Result:
    """Run one request on a cluster that is started at the first call and kept until the interpreter exits."""
    return _default_cluster().run(workflow, **options)


_default: Cluster | None = None
_default_lock = threading.Lock()


def _default_cluster() -> Cluster:
    global _default
    with _default_lock:
        if _default is None or _default._is_closed:
            _default = Cluster()
        return _default
