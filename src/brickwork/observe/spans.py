"""One executed node as a span, and a bounded ring of spans that exports Chrome trace JSON (opens in Perfetto)."""

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Span:
    """One call of one operation for the tasks of a batch. Times are seconds on the host's monotonic clock."""

    executor: str
    pid: int
    op: str
    model: str  # ModelId, or "" for operations without a model
    tasks: tuple[str, ...]
    step: int  # trip of the loop, -1 outside loops
    start_s: float
    end_s: float


class Timeline:
    """The last `max_spans` spans of a workflow set."""

    def __init__(self, max_spans: int = 100_000):
        self._spans: deque[Span] = deque(maxlen=max_spans)

    def extend(self, spans: Iterable[Span]) -> None:
        self._spans.extend(spans)

    def spans(self, request: str | None = None) -> list[Span]:
        """All spans, or those in which a task of `request` took part, oldest first."""
        if request is None:
            return list(self._spans)
        prefix = f"{request}/"
        return [span for span in self._spans if any(task.startswith(prefix) for task in span.tasks)]

    def write_chrome_trace(self, path: Path) -> None:
        path.write_text(json.dumps({"traceEvents": chrome_events(self._spans)}))


def chrome_events(spans: Iterable[Span]) -> list[dict[str, object]]:
    """Spans as complete ("X") events, one process row an executor, times in microseconds."""
    names: dict[int, str] = {}
    events: list[dict[str, object]] = []
    for span in spans:
        names.setdefault(span.pid, span.executor)
        args = {"model": span.model, "tasks": list(span.tasks), "step": span.step}
        events.append({
            "name": span.op, "ph": "X", "pid": span.pid, "tid": 0, "args": args,
            "ts": span.start_s * 1e6, "dur": (span.end_s - span.start_s) * 1e6,
        })  # fmt: skip
    for pid, name in names.items():
        events.append({"name": "process_name", "ph": "M", "pid": pid, "args": {"name": f"executor {name}"}})
    return events
