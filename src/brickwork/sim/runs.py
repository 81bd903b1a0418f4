"""What became of each request of a run: one column for each fact, and a `Run` for whoever asks.

A million runs kept as objects took a simulation to 750 MB, in columns it takes 340.
"""

from array import array
from collections.abc import Iterator
from math import isnan, nan

from brickwork.core.ids import RequestId
from brickwork.core.record import record
from brickwork.core.request import Outcome, Request
from brickwork.load.report import Sample


@record(frozen=True, slots=True)
class Run:
    """One request of a run."""

    request_id: RequestId
    workflow: str
    deadline_s: float | None  # after its arrival
    arrived_s: float
    predicted_finish_s: float | None  # None: refused
    finished_s: float | None
    outcome: Outcome | None
    error: str

    @property
    def latency_s(self) -> float | None:
        return None if self.finished_s is None else self.finished_s - self.arrived_s

    @property
    def sample(self) -> Sample:
        """As the figures of every run see it."""
        return Sample(self.workflow, self.outcome, self.latency_s, self.deadline_s)

    @property
    def is_attained(self) -> bool:
        """It succeeded, within its deadline if it has one."""
        return self.sample.is_attained


class Runs:
    """Runs by request, in order of arrival. Of requests that it was not told the arrival of, it keeps nothing."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome | None] = []
        self._ids: list[RequestId] = []
        self._workflows: list[str] = []
        self._deadlines_s = array("d")  # nan here and below: there is none
        self._arrived_s = array("d")
        self._predicted_s = array("d")
        self._finished_s = array("d")
        self._errors: dict[int, str] = {}  # by row
        self._open: dict[RequestId, int] = {}  # rows of the requests that have not ended

    def arrived(self, request: Request, now_s: float) -> None:
        self._open[request.id] = len(self._ids)
        self._ids.append(request.id)
        self._workflows.append(request.workflow)
        self._deadlines_s.append(nan if request.slo.deadline_s is None else request.slo.deadline_s)
        self._arrived_s.append(now_s)
        self._predicted_s.append(nan)
        self._finished_s.append(nan)
        self.outcomes.append(None)

    def accepted(self, request_id: RequestId, predicted_finish_s: float) -> None:
        if (row := self._open.get(request_id)) is not None:
            self._predicted_s[row] = predicted_finish_s

    def ended(self, request_id: RequestId, now_s: float, outcome: Outcome, error: str) -> None:
        if (row := self._open.pop(request_id, None)) is not None:
            self._finished_s[row], self.outcomes[row] = now_s, outcome
            if error:
                self._errors[row] = error

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[Run]:
        for row in range(len(self._ids)):
            yield self._run(row)

    def by_id(self) -> dict[RequestId, Run]:
        return {run.request_id: run for run in self}

    def _run(self, row: int) -> Run:
        return Run(
            self._ids[row],
            self._workflows[row],
            _known(self._deadlines_s[row]),
            self._arrived_s[row],
            _known(self._predicted_s[row]),
            _known(self._finished_s[row]),
            self.outcomes[row],
            self._errors.get(row, ""),
        )


def _known(value: float) -> float | None:
    return None if isnan(value) else value
