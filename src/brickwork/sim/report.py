"""What a simulated run amounted to."""

from collections import Counter
from dataclasses import dataclass, field
from math import ceil

from brickwork.control.actions import Accept, Action, Dispatch, Finish, Load
from brickwork.core.ids import RequestId
from brickwork.core.request import Outcome, Request


@dataclass(slots=True)
class Run:
    """One request of a run."""

    request: Request
    arrived_s: float
    predicted_finish_s: float | None = None  # None: refused
    finished_s: float | None = None
    outcome: Outcome | None = None
    error: str = ""

    @property
    def latency_s(self) -> float | None:
        return None if self.finished_s is None else self.finished_s - self.arrived_s

    @property
    def is_attained(self) -> bool:
        """It succeeded, within its deadline if it has one."""
        deadline_s = self.request.slo.deadline_s
        on_time = deadline_s is None or (self.latency_s is not None and self.latency_s <= deadline_s)
        return self.outcome is Outcome.SUCCEEDED and on_time


@dataclass(slots=True)
class Report:
    """Sums over a run; simulated seconds throughout."""

    runs: dict[RequestId, Run] = field(default_factory=dict)
    events: int = 0  # that control was told
    loads: Counter[str] = field(default_factory=Counter)  # orders to load, by model
    batch_sizes: Counter[int] = field(default_factory=Counter)
    crashes: int = 0
    leaked: int = 0  # tensors alive after the end
    log_digest: str = ""  # sha256 of every action with its time and cause

    def arrived(self, request: Request, now_s: float) -> None:
        self.runs[request.id] = Run(request, now_s)

    def ordered(self, action: Action, now_s: float) -> None:
        match action:
            case Accept():
                self.runs[action.request_id].predicted_finish_s = action.predicted_finish_s
            case Load():
                self.loads[action.model.id] += 1
            case Dispatch():
                self.batch_sizes[len(action.runs)] += 1
            case Finish():
                run = self.runs[action.request_id]
                run.finished_s, run.outcome, run.error = now_s, action.outcome, action.error

    @property
    def outcomes(self) -> Counter[str]:
        return Counter("unfinished" if run.outcome is None else str(run.outcome) for run in self.runs.values())

    @property
    def attainment(self) -> float:
        """Share of all requests that were attained; a refused one was not."""
        return sum(run.is_attained for run in self.runs.values()) / max(1, len(self.runs))

    def latency_s(self, share: float) -> float | None:
        """Latency that `share` (0 < share <= 1) of the successful requests did not exceed; None without any."""
        done = sorted(
            run.latency_s
            for run in self.runs.values()
            if run.outcome is Outcome.SUCCEEDED and run.latency_s is not None
        )
        return done[ceil(share * len(done)) - 1] if done else None

    def text(self) -> str:
        """A few lines for people."""
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        latencies = ", ".join(
            f"p{share * 100:.0f} {latency:.3f} s" for share in (0.5, 0.95, 0.99) if (latency := self.latency_s(share))
        )
        sizes = ", ".join(f"{count} of {size}" for size, count in sorted(self.batch_sizes.items()))
        return (
            f"simulated: {len(self.runs)} requests: {outcomes}\n"
            f"latency: {latencies or 'none finished'}; attainment {self.attainment:.1%}\n"
            f"batches: {sizes}; loads: {self.loads.total()}; crashes: {self.crashes}; events: {self.events}\n"
            f"decision log {self.log_digest[:16]}"
        )
