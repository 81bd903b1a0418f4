"""Goal: what the simulator says about decisions is true of the live system, because the same object decides.

Method: executors compute the starter. Under policies that look at no times, the same requests give the same batches in
the same order, live and simulated. Under the shipped policies, which do look at times, control is told again all that
it was told live, and orders the same. How fast anything is decides nothing here.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from brickwork.control.actions import Action, Dispatch, Join
from brickwork.control.events import Event
from brickwork.control.machine import Control
from brickwork.control.policies import ABLATIONS, Policies, by_name
from brickwork.control.story import written
from brickwork.coordinator.coordinator import Coordinator, Submission
from brickwork.coordinator.embedded import embedded, submission_of
from brickwork.core.ids import RequestId
from brickwork.core.request import SLO, Request
from brickwork.executor.config import shares
from brickwork.profile.files import starter_profile
from brickwork.sim.cluster import Cluster, Slot
from brickwork.sim.workload import Arrival
from brickwork.starter.workflows import image_to_image, text_to_image, text_to_image_quick
from brickwork.wire.messages import Report

MEMORY_BYTES = 1 << 30
DRAW, QUICK, REDRAW = text_to_image(), text_to_image_quick(), image_to_image()
WAVES = [[DRAW, REDRAW, QUICK], [DRAW, DRAW, DRAW], [REDRAW, DRAW], [QUICK, QUICK, QUICK, DRAW]]
"""Workflows of the requests that come at once, each wave when the one before is done; the first one loads models."""

Batches = list[tuple[str, ...]]
"""Tasks that were ordered to run together, in the order of the orders."""


@dataclass
class Record:
    """Of a live set: what control was told and ordered."""

    told_s: list[tuple[Event, float]] = field(default_factory=list)
    orders: list[list[Action]] = field(default_factory=list)

    def told(self, event: Event, orders: Sequence[Action], now_s: float) -> None:
        self.told_s.append((event, now_s))
        self.orders.append(list(orders))

    def reported(self, report: Report, now_s: float) -> None:
        pass


def submission(wave: int, number: int) -> Submission:
    workflow = WAVES[wave][number]
    picture = {"image": Image.new("RGB", (64, 64), "red")} if workflow is REDRAW else {}
    return submission_of(workflow, {"prompt": "a red circle", "steps": 2 + wave, **picture}, SLO())


def name(wave: int, number: int) -> RequestId:
    return RequestId(f"r-{wave}-{number}")


async def serve(executors: int, policies: Policies) -> Record:
    coordinator: Coordinator = embedded(executors, 1, MEMORY_BYTES, control=Control(starter_profile(), policies))
    record = coordinator.observer = Record()
    await coordinator.start()
    try:
        for k, wave in enumerate(WAVES):
            runs = [coordinator.submit(submission(k, n), request_id=name(k, n)) for n in range(len(wave))]
            await asyncio.gather(*(run.finished for run in runs))
    finally:
        await coordinator.close()
    return record


def simulated(policies: Policies) -> Batches:
    found: Batches = []

    class Listening(Cluster):
        def _carry_out(self, action: Action) -> None:
            found.extend(batches([action]))
            super()._carry_out(action)

    cluster = Listening(Control(starter_profile(), policies), starter_profile())
    cluster.add(Slot("e0", shares(MEMORY_BYTES).model_bytes, max_degree=1))
    for k, wave in enumerate(WAVES):
        for n in range(len(wave)):
            what = submission(k, n)
            request = Request(name(k, n), what.plan.workflow, tuple(what.values.items()), what.slo)
            cluster.submit(Arrival(1.0 + 100.0 * k, request, what.plan))
    cluster.run()
    return found


def batches(orders: Sequence[Action]) -> Batches:
    return [tuple(run.task_id for run in order.runs) for order in orders if isinstance(order, Dispatch | Join)]


def test_the_same_requests_give_the_same_batches_live_and_simulated() -> None:
    policies = by_name(**ABLATIONS["fifo"])
    live = batches([order for orders in asyncio.run(serve(1, policies)).orders for order in orders])
    warm = [batch for batch in live if not batch[0].startswith("r-0-")]
    assert warm == [batch for batch in simulated(policies) if not batch[0].startswith("r-0-")]
    assert any(len(batch) > 1 for batch in warm)


def test_control_has_nothing_to_go_by_but_what_it_is_told() -> None:
    live = asyncio.run(serve(2, Policies()))
    again = Control(starter_profile())
    for (event, now_s), orders in zip(live.told_s, live.orders, strict=True):
        assert list(map(written, again.handle(event, now_s))) == list(map(written, orders))
    assert any(batches(orders) for orders in live.orders)
