"""A real server process on a loopback port, for tests."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import httpx

from support.processes import all_gone, children_of

READY = "brickwork is ready: "


def free_port() -> int:
    """A port for several lives of one server. Not of those that the system gives to outgoing connections: a client
    that knocks while the server is away could get it, and connect to itself."""
    with socket.socket() as probe:
        for port in random.sample(range(20_000, 30_000), 1000):
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise OSError("no free port below 30,000")


class ServerProcess:
    """`brickwork serve` on a free port. As a context manager it is stopped at the end, and must leave no process."""

    def __init__(
        self,
        model: Path | None,  # None: the shipped ones
        state_dir: Path,
        *args: str,
        environment: dict[str, str] | None = None,
        prefix: Sequence[str] = (),  # of the command, which replaces itself by it
    ):
        self.state_dir = state_dir
        state_dir.mkdir(parents=True, exist_ok=True)
        self.log = state_dir / "server.log"
        command = [*prefix, sys.executable, "-m", "brickwork.cli", "serve", "--port", "0"]
        command += [] if model is None else ["--model", str(model)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--state-dir", str(state_dir), *args],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                env=os.environ | (environment or {}),
            )
        self.url = ""
        self.family: list[int] = []

    def ready(self) -> "ServerProcess":
        """Wait for the printed address. raises AssertionError with the log when it does not come"""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(READY), f"{line!r}\n{self.log.read_text()}"
        self.url = line.removeprefix(READY).strip().rstrip("/")
        self._look()
        return self

    def _look(self) -> None:
        """Remember every process that is of this server now: executors are replaced."""
        self.family += [pid for pid in children_of(self.process.pid) if pid not in self.family]

    def stop(self, number: int = signal.SIGTERM, within_s: float = 60) -> tuple[int, str]:
        """Signal it and wait for its end; the exit status and what it printed since it was ready."""
        self._look()
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=within_s)
        return self.process.returncode, output

    def kill(self) -> None:
        """SIGKILL, as a crash of the machine's owner. No process of it may stay."""
        self._look()
        self.process.kill()
        self.process.communicate()
        assert all_gone(self.family, within_s=20) == []

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=60)

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        return httpx.post(self.url + path, json=body, headers=headers, timeout=120)

    def job(self, deterministic: bool = False, **inputs: object) -> str:
        """Submit a text-to-image job; its id."""
        body = {"workflow": "text-to-image", "inputs": {"prompt": "a red circle", **inputs}}
        answer = self.post("/v1/jobs", body | {"deterministic": deterministic})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def ended(self, job_id: str) -> dict[str, object]:
        """Wait for a job's end by reading its events; the job."""
        with httpx.stream("GET", f"{self.url}/v1/jobs/{job_id}/events", timeout=120) as stream:
            for _ in stream.iter_lines():
                pass
        found: dict[str, object] = self.get(f"/v1/jobs/{job_id}").json()
        return found

    def __enter__(self) -> "ServerProcess":
        return self.ready()

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop(signal.SIGTERM)
        assert all_gone(self.family, within_s=20) == []
