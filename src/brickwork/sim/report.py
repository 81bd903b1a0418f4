"""What a simulated run amounted to."""

from collections import Counter
from dataclasses import dataclass, field

from brickwork.control.actions import Accept, Action, Dispatch, Finish, Join, Load, Yield
from brickwork.load.report import Sample, attainment, latency_s
from brickwork.node_manager.policy import Order
from brickwork.sim.runs import Runs


@dataclass(slots=True)
class Report:
    """Sums over a run; simulated seconds throughout."""

    runs: Runs = field(default_factory=Runs)
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

    def ordered(self, action: Action, now_s: float) -> None:
        match action:
            case Dispatch():
                self.batch_sizes[len(action.runs)] += 1
                self.degrees[action.layout.devices] += 1
            case Accept():
                self.runs.accepted(action.request_id, action.predicted_finish_s)
            case Load():
                self.loads[action.model.id] += 1
            case Join():
                self.joins += len(action.runs)
            case Yield():
                self.yields += 1
            case Finish():
                self.runs.ended(action.request_id, now_s, action.outcome, action.error)

    @property
    def ended_s(self) -> float:
        """When the last request ended; 0 without any."""
        return max((run.finished_s or run.arrived_s for run in self.runs), default=0.0)

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(["unfinished" if outcome is None else str(outcome) for outcome in self.runs.outcomes])

    @property
    def samples(self) -> list[Sample]:
        return [run.sample for run in self.runs]

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
