"""What others are told of a workflow set: a few sums, which may be some seconds old when they are used."""

from collections.abc import Mapping
from dataclasses import dataclass

from brickwork.control.state import State
from brickwork.core.ids import ModelId


@dataclass(frozen=True, slots=True)
class Summary:
    """One set at one time. Device seconds are those of `device`, in batches of the size that costs least."""

    device: str  # type that most executors are of; while there is none, the first that the profile knows
    executors: Mapping[str, int]  # by device type, without those that were told to leave
    is_busy: bool  # a request is accepted and not finished
    queued_s: float  # device seconds accepted and not begun
    work_s: float  # device seconds accepted and not done
    offered_s: float  # device seconds asked for since the set began, by requests that were accepted or not
    mean_s: float  # of one of these requests
    need_bytes: int  # memory of the largest task so far
    models: frozenset[ModelId]  # with a replica


def summary_of(state: State, device: str, now_s: float) -> Summary:
    """Sum a set up. Costs a pass over its executors' device types and models."""
    leaving = [state.executors[executor].device for executor in state.leaving]
    queued_s = state.demand.total_s
    return Summary(
        device=device,
        executors={kind: count - leaving.count(kind) for kind, count in state.devices.items()},
        is_busy=bool(state.requests),
        queued_s=queued_s,
        work_s=queued_s + state.running_s(now_s),
        offered_s=state.offered_s,
        mean_s=state.offered_s / max(1, state.offered),
        need_bytes=state.largest_need_bytes,
        models=frozenset(model for model in state.models if state.replicas(model)),
    )
