"""How fast each type of device is for one request, where a fleet has several.

Work is counted in seconds of the commonest type (`Turn.device`), whoever does it in the end. A request is predicted on
that type too, unless that would be too slow for it alone and another is not: then on the other one, and it can begin on
types only that are in time. How fast a type is, is taken from the request's own path: types differ by model.

    6 slow and 2 fast ones, twice as fast: they do 6 * 1 + 2 * 2 slow device seconds a second
    a request of 2 slow seconds, wanted within 1.5 s: predicted on fast ones, which is where it can begin
"""

from collections.abc import Mapping
from math import inf

from brickwork.control.facts import PlanFacts, Size, longest_s
from brickwork.control.records import RequestRecord
from brickwork.control.turn import Turn

Speed = tuple[int, float]
"""(1 if the request can begin there, else 0; device seconds that one device does in a second)"""


def alone_on(turn: Turn, facts: PlanFacts, sizes: Mapping[str, Size], within_s: float) -> tuple[str, dict[str, float]]:
    """The type on which a request is predicted, with the seconds of each task alone: the first one, from the commonest,
    on which it takes no longer than `within_s`; the commonest when there is none."""
    common: tuple[str, dict[str, float]] | None = None
    for device in dict.fromkeys((turn.device, *turn.state.devices)):
        alone = device, {name: turn.estimate.equal_batch_s(device, size.works, 1) for name, size in sizes.items()}
        if longest_s(facts.paths_s(alone[1])) <= within_s:
            return alone
        common = common or alone
    assert common is not None
    return common


def speeds(turn: Turn, request: RequestRecord) -> dict[str, Speed]:
    """Of every type in the fleet, for this request."""
    devices = turn.state.devices
    if len(devices) == 1:
        return dict.fromkeys(devices, (1, 1.0))
    left_s = request.due_s - turn.now_s if request.has_deadline else inf
    paths_s = {device: _path_s(turn, request, device) for device in devices}
    common_s = paths_s[turn.device]
    return {
        device: (int(device == request.device or path_s <= left_s), common_s / path_s if path_s > 0.0 else 1.0)
        for device, path_s in paths_s.items()
    }


def _path_s(turn: Turn, request: RequestRecord, device: str) -> float:
    """The critical path on one type, every task alone."""
    lone_s = {name: turn.estimate.equal_batch_s(device, task.works, 1) for name, task in request.tasks.items()}
    return longest_s(request.facts.paths_s(lone_s))
