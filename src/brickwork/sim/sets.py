"""Several workflow sets on one clock, the router before them and the Node Manager above. Decides nothing."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from math import inf

from brickwork.control.summary import Summary
from brickwork.node_manager.driver import NodeManager
from brickwork.router.driver import Router
from brickwork.sim.cluster import Cluster
from brickwork.sim.fleet import VirtualFleet
from brickwork.sim.loop import Loop
from brickwork.sim.report import Report
from brickwork.sim.workload import Arrival

SUMMARY_S = 2.0
"""Age at which a summary is asked for anew. They are small; a coordinator sends them over a network."""


class Sets:
    """Drives the Controls of several sets through one simulated history.

    manager    None: every set keeps what it has
    every_s    between two looks of the Node Manager
    """

    def __init__(
        self,
        loop: Loop,
        report: Report,
        clusters: Mapping[str, Cluster],
        router: Router,
        fleet: VirtualFleet,
        manager: NodeManager | None,
        every_s: float,
    ):
        self.report = report
        self._loop = loop
        self._clusters = clusters
        self._router = router
        self._fleet = fleet
        self._manager = manager
        self._every_s = every_s
        self._is_fed = False
        self._learned_s = -inf
        self._is_asleep = False  # nobody has an executor or work, so that the Node Manager does not look

    def feed(self, arrivals: Iterable[Arrival], manage_from_s: float) -> None:
        """Submit arrivals that come in order of time, each to the set that the router chooses at that time."""
        self._feed_next(iter(arrivals))
        if self._manager is not None:
            self._loop.after(manage_from_s, partial(self._look, self._manager))

    def _feed_next(self, arrivals: Iterator[Arrival]) -> None:
        following = next(arrivals, None)
        if following is None:
            self._is_fed = True
        else:
            self._loop.after(max(0.0, following.time_s - self._loop.now_s), partial(self._arrive, following, arrivals))

    def _arrive(self, arrival: Arrival, arrivals: Iterator[Arrival]) -> None:
        self._feed_next(arrivals)
        now_s = self._loop.now_s
        if now_s >= self._learned_s + SUMMARY_S:
            self._learned_s = now_s
            self._router.learn(self._summaries())
        models = frozenset(spec.id for spec in arrival.plan.models)
        self._clusters[self._router.choose(arrival.part, models, now_s)].arrive(arrival)
        if self._is_asleep and self._manager is not None:
            self._look(self._manager)

    def _look(self, manager: NodeManager) -> None:
        orders = manager.step(self._summaries(), self._fleet.owned(), self._fleet.free(), self._loop.now_s)
        for order in orders:
            self.report.orders.append((self._loop.now_s, order))
            self._fleet.carry_out(order)
        for each in self._clusters.values():
            each.offer(self._fleet.offer())
        has_work = any(each.is_down or each.control.state.requests for each in self._clusters.values())
        self._is_asleep = not has_work and not any(self._fleet.owned().values())
        if has_work or not (self._is_fed or self._is_asleep):
            self._loop.after(self._every_s, partial(self._look, manager))

    def _summaries(self) -> dict[str, Summary]:
        return {name: each.control.summary(self._loop.now_s) for name, each in self._clusters.items()}
