"""Servers on loopback for benchmarks: brickwork's own, and plain Diffusers behind FastAPI."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

STOCK_SERVER = Path(__file__).resolve().parent / "stock_server.py"


@contextmanager
def brickwork_server(model: Path, executors: int, threads: int, directory: Path | None = None) -> Iterator[list[str]]:
    """`brickwork serve` with a state directory of its own, below `directory`; gives its address."""
    with tempfile.TemporaryDirectory(dir=directory) as state_dir:
        shape = ["--model", model, "--executors", executors, "--threads", threads]
        command = [sys.executable, "-m", "brickwork.cli", "serve", *shape, "--state-dir", state_dir, "--port", 0]
        with _running([str(part) for part in command]) as url:
            yield [url]


@contextmanager
def stock_servers(model: Path, count: int, threads: int) -> Iterator[list[str]]:
    """`count` processes with one pipeline each; gives their addresses."""
    command = [sys.executable, str(STOCK_SERVER), "--model", str(model), "--threads", str(threads)]
    with ExitStack() as stack:
        yield [stack.enter_context(_running(command)) for _ in range(count)]


@contextmanager
def _running(command: list[str]) -> Iterator[str]:
    """A server process from the line that ends with its address until it is told to stop."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if "ready: " not in line:
            raise RuntimeError(f"{' '.join(command)} did not start: {line!r}")
        yield line.rpartition("ready: ")[2].strip().rstrip("/")
    finally:
        process.terminate()
        process.communicate()
