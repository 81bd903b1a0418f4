"""What a simulated run amounted to."""

from collections import Counter
from dataclasses import dataclass, field

from brickwork.control.actions import Accept, Action, Dispatch, Finish, Join, Load, Yield
from brickwork.core.ids import RequestId
from brickwork.core.request import Outcome, Request
from brickwork.load.report import Sample, attainment, latency_s
from brickwork.node_manager.policy import Order


@dataclass(slots=True)
class Run:
    """One request of a run."""

    request: Request
    arrived_s: float
    predicted_finish_s: float | None = None  # None: refused
    finished_s: float | None = None
    outcome: Outcome | None = None
    error: str = ""
    is_judged: bool = True  # counts in an experiment that judges some requests only

    @property
    def latency_s(self) -> float | None:
        return None if self.finished_s is None else self.finished_s - self.arrived_s

    @property
    def sample(self) -> Sample:
        """As the figures of every run see it."""
        return Sample(self.request.workflow, self.outcome, self.latency_s, self.request.slo.deadline_s)

    @property
    def is_attained(self) -> bool:
        """It succeeded, within its deadline if it has one."""
        return self.sample.is_attained


@dataclass(slots=True)
class Report:
    """Sums over a run; simulated seconds throughout."""

    runs: dict[RequestId, Run] = field(default_factory=dict)
    events: int = 0  # that control was told
    loads: Counter[str] = field(default_factory=Counter)  # orders to load, by model
    batch_sizes: Counter[int] = field(default_factory=Counter)
    joins: int = 0  # tasks that joined a running batch
    yields: int = 0  # batches that were asked to leave their device
    degrees: Counter[int] = field(default_factory=Counter)  # dispatches by number of devices
    crashes: int = 0
    leaked: int = 0  # tensors alive after the end
    orders: list[tuple[float, Order]] = field(default_factory=list)  # of the Node Manager, with their times
    reserved_s: float = 0.0  # device seconds held for the sets, idle or starting included
    busy_s: float = 0.0  # device seconds in batches, helping included
    log_digest: str = ""  # sha256 of every action with its time and cause

    def arrived(self, request: Request, now_s: float, is_judged: bool = True) -> None:
        self.runs[request.id] = Run(request, now_s, is_judged=is_judged)

    def ended(self, request_id: RequestId, now_s: float, outcome: Outcome, error: str) -> None:
        run = self.runs[request_id]
        run.finished_s, run.outcome, run.error = now_s, outcome, error

    def ordered(self, action: Action, now_s: float) -> None:
        match action:
            case Dispatch():
                self.batch_sizes[len(action.runs)] += 1
                self.degrees[action.layout.devices] += 1
            case Accept():
                self.runs[action.request_id].predicted_finish_s = action.predicted_finish_s
            case Load():
                self.loads[action.model.id] += 1
            case Join():
                self.joins += len(action.runs)
            case Yield():
                self.yields += 1
            case Finish():
                self.ended(action.request_id, now_s, action.outcome, action.error)

    @property
    def ended_s(self) -> float:
        """When the last request ended; 0 without any."""
        return max((run.finished_s or run.arrived_s for run in self.runs.values()), default=0.0)

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(["unfinished" if run.outcome is None else str(run.outcome) for run in self.runs.values()])

    @property
    def samples(self) -> list[Sample]:
        return [run.sample for run in self.runs.values()]

    @property
    def attainment(self) -> float:
        """Share of all requests that were attained; a refused one was not."""
        return attainment(self.samples)

    def latency_s(self, share: float) -> float | None:
        """Latency that `share` (0 < share <= 1) of the successful requests did not exceed; None without any."""
        return latency_s(self.samples, share)

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
            f"batches: {sizes}; joins: {self.joins}; yields: {self.yields}; loads: {self.loads.total()}; "
            f"crashes: {self.crashes}; events: {self.events}\n"
            f"decision log {self.log_digest[:16]}"
        )
