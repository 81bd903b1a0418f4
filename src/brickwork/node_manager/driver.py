"""The Node Manager between two looks: turns what sets say of themselves into loads, and those into orders.

Pure, as the policy is: `step` takes summaries and a time and returns orders, which the fleet carries out (the simulator
with virtual devices, a server with processes). What is kept from one look to the next is each set's rate, smoothed over
RATE_S, and the most that it could use within the cool-down; a set gives nothing away before both are known.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, inf

from brickwork.control.summary import Summary
from brickwork.node_manager.policy import KEEP_UTILISATION, UTILISATION, DeviceType, Order, SetLoad, plan_fleet, units

RATE_S = 60.0
"""Over which a set's rate is smoothed. Shorter, and chance decides: two clips of 60 s in a minute are a rate of 2."""

LEAST = 1e-3
"""Units that a set needs that has, or of late had, anything to do: one executor, of whatever type."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How patient the Node Manager is."""

    cool_down_s: float = 60.0  # a set gives away what it could do without for so long
    idle_s: float = 600.0  # a set without work for so long keeps nothing


@dataclass(slots=True)
class _Watch:
    """What is kept of one set."""

    since_s: float
    offered_s: float  # device seconds asked for until the last look
    looked_s: float
    worked_s: float  # when it last had work
    rate: float = 0.0  # units of work asked for per second
    could_use: deque[tuple[float, float]] = field(default_factory=deque)  # (time, units) within the cool-down


class NodeManager:
    """Keeps the watch over some sets.

    types    kinds of devices that the fleet has
    """

    def __init__(self, types: Sequence[DeviceType], terms: Terms | None = None):
        self._types = types
        self._speeds = {each.name: each.speed for each in types}
        self._terms = terms or Terms()
        self._watches: dict[str, _Watch] = {}

    def step(
        self,
        summaries: Mapping[str, Summary],
        owned: Mapping[str, Mapping[str, int]],
        free: Mapping[str, int],
        now_s: float,
    ) -> tuple[Order, ...]:
        """Look at all sets and say what to do.

        summaries    by set
        owned        executors of each set by device type: those it has or will have when orders under way are done
        free         devices that can be started, by type
        """
        loads = [self._load(name, summary, owned[name], now_s) for name, summary in summaries.items()]
        return plan_fleet(loads, self._types, free)

    def _load(self, name: str, summary: Summary, executors: Mapping[str, int], now_s: float) -> SetLoad:
        speed = self._speeds.get(summary.device, 1.0)
        worked_s = now_s if any(executors.values()) else -inf
        watch = self._watches.setdefault(name, _Watch(now_s, summary.offered_s, now_s, worked_s))
        asked_s = speed * (summary.offered_s - watch.offered_s)
        past_s = now_s - watch.looked_s
        if past_s > 0.0:  # not at the first look
            watch.rate += (1.0 - exp(-past_s / RATE_S)) * (asked_s / past_s - watch.rate)
        if summary.is_busy or asked_s > 0.0:
            watch.worked_s = now_s
        watch.offered_s, watch.looked_s = summary.offered_s, now_s
        return self._weighed(name, summary, watch, executors, speed)

    def _weighed(
        self, name: str, summary: Summary, watch: _Watch, executors: Mapping[str, int], speed: float
    ) -> SetLoad:
        now_s, terms = watch.looked_s, self._terms
        backlog_s, request_s = speed * summary.queued_s, speed * summary.mean_s
        if now_s - watch.worked_s >= terms.idle_s:
            return SetLoad(name, executors, 0.0, 0.0, summary.need_bytes)
        needs = max(LEAST, units(watch.rate, backlog_s, request_s, UTILISATION))
        watch.could_use.append((now_s, max(LEAST, units(watch.rate, backlog_s, request_s, KEEP_UTILISATION))))
        while watch.could_use[0][0] < now_s - terms.cool_down_s:
            watch.could_use.popleft()
        is_young = now_s - watch.since_s < terms.cool_down_s + 2.0 * RATE_S  # its rate is not known yet
        could_use = inf if is_young else max(could for _, could in watch.could_use)
        return SetLoad(name, executors, needs, could_use, summary.need_bytes)
