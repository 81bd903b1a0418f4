"""One executed node as a span, and a bounded ring of spans that exports Chrome trace JSON (opens in Perfetto)."""

import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from sys import intern

MAX_SPANS = 20_000
"""Spans kept: some 1,000 requests of twelve steps, as many as the story tells of; 6 MB."""


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


def charged_s(calls: Sequence[Span], spent_s: float) -> list[float]:
    """Seconds of each call of a batch, `spent_s` in all: from the end of the call before; the first gets the rest.

    batch        |--open-[call]--[call]--deliver--|
    2nd                        |-------|
    1st          |-------------|       |----------|
    """
    later = [calls[k].end_s - calls[k - 1].end_s for k in range(1, len(calls))]
    return [max(0.0, spent_s - sum(later)), *later]


class Timeline:
    """The last `max_spans` spans of a workflow set."""

    def __init__(self, max_spans: int = MAX_SPANS):
        self._spans: deque[Span] = deque(maxlen=max_spans)
        self._tasks: tuple[str, ...] = ()  # of the span before

    def extend(self, spans: Iterable[Span]) -> None:
        self._spans.extend(map(self._shared, spans))

    def _shared(self, span: Span) -> Span:
        """The span with texts that others have too: off the wire each brings copies, three times its own size."""
        if span.tasks != self._tasks:
            self._tasks = span.tasks
        executor, op, model = intern(span.executor), intern(span.op), intern(span.model)
        return Span(executor, span.pid, op, model, self._tasks, span.step, span.start_s, span.end_s)

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
