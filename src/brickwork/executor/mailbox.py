"""What is ordered about a batch while it runs: tasks to stop, tasks to let in, and that all are to leave.

Put in by the thread that reads orders, looked at by the one that runs batches, at step boundaries. Orders about a batch
that has ended are void. Whether a batch has ended is decided here, under one lock: it has not while a task waits to
join it, so each joining task either takes part or is told of by the batch's last report without it.
"""

import threading
from collections.abc import Sequence

from brickwork.core.batch import TaskRun
from brickwork.core.ids import BatchId, TaskId


class Mailbox:
    """Batches run one after the other, their ids rise; so one number says which have ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = BatchId(0)
        self._stopped: set[tuple[BatchId, TaskId]] = set()
        self._leaving: set[BatchId] = set()
        self._joining: dict[BatchId, list[TaskRun]] = {}

    def stop(self, batch: BatchId, task: TaskId) -> None:
        with self._lock:
            if batch > self._ended:
                self._stopped.add((batch, task))

    def leave(self, batch: BatchId) -> None:
        with self._lock:
            if batch > self._ended:
                self._leaving.add(batch)

    def join(self, batch: BatchId, runs: Sequence[TaskRun]) -> None:
        with self._lock:
            if batch > self._ended:
                self._joining.setdefault(batch, []).extend(runs)

    def is_stopped(self, batch: BatchId, task: TaskId) -> bool:
        return (batch, task) in self._stopped

    def is_leaving(self, batch: BatchId) -> bool:
        return batch in self._leaving

    def take_joining(self, batch: BatchId) -> list[TaskRun]:
        """Tasks that wait to join, each once."""
        if batch not in self._joining:  # looked up at every step; a miss is seen at the next one
            return []
        with self._lock:
            return self._joining.pop(batch, [])

    def end(self, batch: BatchId, by_force: bool = False) -> bool:
        """The batch has nothing left to do. False, and it goes on, when a task waits to join it.

        by_force    it cannot go on: what waits is dropped
        """
        with self._lock:
            if batch in self._joining and not by_force:
                return False
            self._ended = max(self._ended, batch)
            self._joining.pop(batch, None)
            self._leaving.discard(batch)
            self._stopped = {key for key in self._stopped if key[0] > self._ended}
            return True
