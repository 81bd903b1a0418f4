"""One measurement of a server: what it takes, how fast it is alone, and how it carries the load."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from brickwork.load.drive import Drive, solo_latency_s
from brickwork.load.offers import Kind, Offer, offers
from brickwork.load.result import Result, result_of
from brickwork.load.servers import Api, ImagesApi, JobsApi, Servers

SOLO_REQUESTS = 6
"""Sent one after the other to learn the solo latency; the first one, which may load models, is not counted."""

APIS: dict[str, Callable[[], Api]] = {"jobs": JobsApi, "images": ImagesApi}


@dataclass(frozen=True, slots=True)
class Order:
    """What to measure."""

    urls: Sequence[str]
    api: str  # a key of APIS
    weights: Mapping[str, float]  # share of each workflow in the mix
    inputs: Mapping[str, Any]  # given to every request, ready to be sent
    prompts: Sequence[str]
    times_s: Sequence[float]  # of the arrivals, warm-up included
    warm_up_s: float
    end_s: float  # of the arrivals
    slo_scale: float | None  # deadline = slo_scale x solo latency; None: deadline_s
    deadline_s: float | None
    tells_deadline: bool
    seed: int
    max_connections: int
    timeout_s: float


class Bench:
    """A measurement, to be looked at while it goes on.

    say    takes lines for people
    """

    def __init__(self, order: Order, say: Callable[[str], None]):
        self.order = order
        self.solo_s: dict[str, float] = {}  # by workflow; empty when the deadline was given
        self.deadlines_s: dict[str, float] = {}
        self.drive: Drive | None = None  # once requests are being offered
        self._say = say

    async def run(self) -> None:
        """Measure. May be cancelled; what has been measured is kept.

        raises    Unreachable, InputError, RequestFailed: the server can't be measured so
        """
        order = self.order
        async with Servers(order.urls, APIS[order.api](), order.tells_deadline) as servers:
            kinds = [await self._kind(servers, name) for name in order.weights]
            for kind in kinds:
                self.deadlines_s[kind.workflow] = await self._deadline_s(servers, kind)
            offered = offers(kinds, order.times_s, self.deadlines_s, order.seed)
            self._say(f"offering {len(offered)} requests in {order.end_s:g} s, of which {order.warm_up_s:g} s warm-up")
            self.drive = Drive(servers, offered, order.max_connections, order.timeout_s)
            await self.drive.run()

    def result(self) -> Result | None:
        """What was measured so far; None when nothing was."""
        if self.drive is None:
            return None
        result = result_of(self.drive, self.order.warm_up_s, self.order.end_s)
        return result if result.total.offered else None

    async def _kind(self, servers: Servers, name: str) -> Kind:
        """A workflow with the inputs that vary: of brickwork it is asked, other servers take a prompt and a seed."""
        order = self.order
        declared = {"prompt", "seed"}
        if order.api == "jobs":
            declared &= await servers.inputs_of(name, order.timeout_s)
        prompts = order.prompts if "prompt" in declared else ()
        return Kind(name, order.weights[name], order.inputs, prompts, has_seed="seed" in declared)

    async def _deadline_s(self, servers: Servers, kind: Kind) -> float:
        order = self.order
        if order.deadline_s is not None:
            return order.deadline_s
        assert order.slo_scale is not None
        solo_s = await solo_latency_s(servers, solo_offers(kind, order.seed), order.timeout_s)
        self.solo_s[kind.workflow] = solo_s
        deadline_s = order.slo_scale * solo_s
        self._say(f"{kind.workflow}: alone {solo_s:.3f} s, so its deadline is {deadline_s:.3f} s")
        return deadline_s


def solo_offers(kind: Kind, seed: int) -> list[Offer]:
    """Requests to be sent one after the other, without deadline."""
    random = Random(f"solo {seed}")
    return [Offer(k, 0.0, kind.workflow, kind.draw(k, random), None) for k in range(SOLO_REQUESTS)]


async def watch(bench: Bench, tell: Callable[[Drive], None], every_s: float) -> None:
    """Run a measurement and let `tell` look at it now and then."""
    running = asyncio.ensure_future(bench.run())
    try:
        while not (await asyncio.wait([running], timeout=every_s))[0]:
            if bench.drive is not None:
                tell(bench.drive)
        running.result()
    finally:
        running.cancel()
        await asyncio.wait([running])
