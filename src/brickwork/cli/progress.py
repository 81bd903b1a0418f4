"""Progress of one request on the terminal: a bar that follows the longest task; plain lines when output is a pipe."""

import sys
import threading
from types import TracebackType
from typing import Any

from brickwork.coordinator.runs import Progress


class Reporter:
    """Shows which task runs and at which step. `update` may be called from any thread."""

    def __init__(self, plan: Any, is_quiet: bool):
        self._tasks = {task.name: None for task in plan.tasks}
        self._is_quiet = is_quiet
        self._is_terminal = sys.stderr.isatty()
        self._lock = threading.Lock()
        self._bars: dict[str, Any] = {}
        self._rich: Any = None

    def __enter__(self) -> "Reporter":
        if not self._is_quiet and self._is_terminal:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bars

            columns = (TextColumn("{task.description:>24}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
            self._rich = Bars(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
            self._rich.start()
            self._bars["start"] = self._rich.add_task("starting executors", total=1)
        elif not self._is_quiet:
            print("starting executors", file=sys.stderr, flush=True)
        return self

    def update(self, progress: Progress) -> None:
        if self._is_quiet:
            return
        with self._lock:
            if self._rich is not None:
                self._update_bar(progress)
            elif progress.step == 0 or progress.steps > 1:
                at = f" {progress.step}/{progress.steps}" if progress.step else ""
                print(f"{progress.task}{at}", file=sys.stderr, flush=True)

    def _update_bar(self, progress: Progress) -> None:
        if "start" in self._bars:
            self._rich.remove_task(self._bars.pop("start"))
        if progress.task not in self._bars:
            self._bars[progress.task] = self._rich.add_task(progress.task, total=progress.steps)
        self._rich.update(self._bars[progress.task], completed=progress.step, total=progress.steps)

    def done(self, seconds: float) -> None:
        if not self._is_quiet:
            self._close()
            print(f"done in {seconds:.2f} s", file=sys.stderr)

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._rich is not None:
            self._rich.stop()
            self._rich = None
