"""Clients that are refused under overload and come back when they were told to, in the simulator."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from brickwork.control.actions import Action, Finish
from brickwork.control.machine import Control
from brickwork.core.ids import RequestId
from brickwork.core.request import Outcome
from brickwork.profile.table import Profile
from brickwork.sim.cluster import Cluster, Slot
from brickwork.sim.runs import Run
from brickwork.sim.workload import Arrival, poisson
from support.plans import MIB, chain, profile, request
from support.scenes import kind

WARM_S = 5.0
"""Some requests come first, so that the models are loaded; then, at this time, the overload begins."""


class ReturningCluster(Cluster):
    """A cluster whose refused clients come back once, when they were told to.

    returning    share of the clients that do
    """

    def __init__(self, control: Control, truth: Profile, arrivals: Sequence[Arrival], returning: float, seed: int):
        super().__init__(control, truth, seed=seed)
        self._first = {arrival.request.id: arrival for arrival in arrivals}
        self._returning = returning
        for arrival in arrivals:
            self.submit(replace(arrival, request=replace(arrival.request, resend_key=arrival.request.id)))

    def _carry_out(self, action: Action) -> None:
        super()._carry_out(action)
        if isinstance(action, Finish) and action.outcome is Outcome.REJECTED and action.retry_after_s is not None:
            first = self._first.get(action.request_id)
            if first is not None and int(first.request.id[2:]) % 10 < 10 * self._returning:
                again = replace(first.request, id=RequestId(f"again-{first.request.id}"), resend_key=first.request.id)
                self.submit(Arrival(action.retry_after_s, again, first.plan))


@dataclass(frozen=True)
class Figures:
    """What came of an overload."""

    capacity_per_s: float  # predicted
    accepted_per_s: float  # while requests were offered
    attainment: float  # of the accepted, those that came back included
    returned: int
    returned_accepted: float  # share of those who came back when told to
    kept: float  # share of promises that control believes will be kept


def overload(
    slo_scale: float, seed: int, executors: int = 2, times: float = 2.0, returning: float = 1.0, count: int = 300
) -> Figures:
    """Offer `times` the predicted capacity of a warm cluster, Poisson, all of one kind, with a deadline each."""
    steps = 8
    deadline_s = slo_scale * cycle_s(1, steps)
    capacity = capacity_per_s(executors, deadline_s, steps)
    arrivals = [
        replace(arrival, time_s=arrival.time_s + WARM_S)
        for arrival in poisson([kind(chain(), steps, deadline_s=deadline_s)], times * capacity, count, seed)
    ]
    cluster = ReturningCluster(Control(profile()), profile(), arrivals, returning, seed)
    for number in range(executors):
        cluster.add(Slot(f"e{number}", 8 * MIB))
        cluster.submit(Arrival(1.0 + 0.01 * number, request(f"w-{number}", steps), chain()))
    runs = [run for run in cluster.run().runs if not run.request_id.startswith("w-")]
    return _figures(runs, capacity, arrivals[-1].time_s, cluster.control.state.promises.kept)


def _figures(runs: list[Run], capacity: float, end_s: float, kept: float) -> Figures:
    accepted = [run for run in runs if run.outcome is not Outcome.REJECTED]
    again = [run for run in runs if run.request_id.startswith("again-")]
    return Figures(
        capacity_per_s=capacity,
        accepted_per_s=sum(run.arrived_s <= end_s for run in accepted) / (end_s - WARM_S),
        attainment=sum(run.is_attained for run in accepted) / len(accepted),
        returned=len(again),
        returned_accepted=sum(run.outcome is not Outcome.REJECTED for run in again) / max(1, len(again)),
        kept=kept,
    )


def cycle_s(size: int, steps: int) -> float:
    """Device seconds of `size` requests of `chain` that run as one batch; decodes are not worth a batch."""

    def call_s(key: str, shape: str, rows: int) -> float:
        return profile().call_s("cpu-1", key, shape, rows)

    encode_s, decode_s = call_s("toy.text/toy.encode", "8x64", size), call_s("toy.vae/toy.decode", "16x8x8", 1)
    return encode_s + steps * call_s("toy.dit/toy.predict", "16x8x8", 2 * size) + size * decode_s


def capacity_per_s(executors: int, deadline_s: float, steps: int) -> float:
    """Requests per second in the largest batches that deadlines allow to those who have just missed one: they wait for
    it and then ride in their own."""
    sizes = [size for size in range(1, 17) if size == 1 or 2.0 * cycle_s(size, steps) <= deadline_s]
    return max(executors * size / cycle_s(size, steps) for size in sizes)
