"""One server from its start to its end: what is opened in which order, and closed in the opposite one.

```
 socket -> store (locks the state directory) -> executors -> ready ... signal -> drain -> executors -> store -> socket
```

The first signal drains within a bound, the second one stops at once. HTTP answers from the first moment to the last:
/readyz says whether jobs are taken.
"""

import asyncio
import contextlib
import resource
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from brickwork.compiler.artifacts import write_artifacts
from brickwork.control.machine import Control
from brickwork.coordinator.embedded import embedded
from brickwork.core.errors import InputError
from brickwork.profile.files import starter_profile
from brickwork.server.app import build_app
from brickwork.server.metrics import Metrics
from brickwork.server.service import Service
from brickwork.server.settings import Settings
from brickwork.server.tenants import terms
from brickwork.store.artifacts import ArtifactDirectory
from brickwork.store.sqlite import SqliteJobStore
from brickwork.workflow.api import Workflow

T = TypeVar("T")

GRACE_S = 2
"""For open connections to take their last bytes once everything else has ended."""

KEEP_ALIVE_S = 75
"""For an idle connection. The shorter, the more often a client sends a request into a connection that just closes."""

BACKLOG = 2048

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(settings: Settings, workflows: Sequence[Workflow], say: Callable[[str], None]) -> bool:
    """Run a server until a signal ends it.

    say       takes lines for people: the address when it is ready, what happens at the end
    returns   False when a second signal cut the draining short
    raises    InputError for an address that cannot be had, StateDirectoryInUse, StoreError, RequestFailed when no
              executor can be started
    """
    _raise_file_limit()
    by_name = _by_name(workflows, (settings.state_dir / "artifacts").absolute())
    with _listening(settings) as listening, SqliteJobStore(settings.state_dir) as store:
        metrics = Metrics(by_name)
        control = Control(starter_profile(), tenants=terms(settings.tenants))
        coordinator = embedded(
            settings.executors, settings.threads, settings.memory_bytes, settings.start_method, control
        )
        artifacts = ArtifactDirectory(settings.state_dir / "artifacts")
        service = Service(store, artifacts, coordinator, by_name, metrics)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_run(service, settings, listening, say))


async def _run(service: Service, settings: Settings, listening: socket.socket, say: Callable[[str], None]) -> bool:
    signals = _Signals()
    http = _Http(uvicorn.Config(
        build_app(service, settings.max_body_bytes, settings.tenants),
        log_config=None, access_log=False, server_header=False, proxy_headers=False, lifespan="off", ws="none",
        backlog=BACKLOG, timeout_keep_alive=KEEP_ALIVE_S, timeout_graceful_shutdown=GRACE_S,
    ))  # fmt: skip
    answering = asyncio.ensure_future(http.serve([listening]))
    try:
        await _unless(signals.first, service.start(settings.keep_days * 86400))
        if not signals.first.done():
            say(f"brickwork is ready: {_address(listening)}")
            await signals.first
        return await _drain(service, settings, signals, say)
    finally:
        await service.close()
        http.should_exit = True
        http.force_exit = signals.second.done()
        await answering


async def _drain(service: Service, settings: Settings, signals: "_Signals", say: Callable[[str], None]) -> bool:
    say(f"stopping: no more jobs are taken; running ones have {settings.drain_seconds:g} s (again: stop at once)")
    left = await _unless(signals.second, service.drain(settings.drain_seconds))
    some = "some" if left is None else left
    ends = "all jobs have ended" if left == 0 else f"{some} jobs have not ended; they run again at the next start"
    say(f"stopped: {ends}")
    return left is not None


async def _unless(signal_: "asyncio.Future[None]", work: Coroutine[Any, Any, T]) -> T | None:
    """The result of `work`, or None when the signal comes before."""
    task = asyncio.ensure_future(work)
    await asyncio.wait((task, signal_), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        return task.result()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return None


class _Signals:
    """The first and the second request to stop."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.first: asyncio.Future[None] = loop.create_future()
        self.second: asyncio.Future[None] = loop.create_future()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._take)

    def _take(self) -> None:
        waiting = self.second if self.first.done() else self.first
        if not waiting.done():
            waiting.set_result(None)


class _Http(uvicorn.Server):
    """uvicorn without signal handlers of its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((settings.host, settings.port))
        except (OSError, OverflowError) as error:
            text = f"{settings.host}:{settings.port} cannot be listened on: {error}; choose another (0: any free one)"
            raise InputError("port", text) from None
        yield listening
    finally:
        listening.close()


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}/"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _by_name(workflows: Sequence[Workflow], artifacts: Path) -> Mapping[str, Workflow]:
    """The workflows as they are served: their pictures are written below `artifacts` by the executors."""
    by_name: dict[str, Workflow] = {}
    for workflow in workflows:
        if workflow.name in by_name:
            raise InputError("workflows", f"two are named {workflow.name}; a server needs different names")
        by_name[workflow.name] = Workflow(write_artifacts(workflow.graph, artifacts), workflow.where)
    return by_name


def _raise_file_limit() -> None:
    """Every connection is an open file; the soft limit is often 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
