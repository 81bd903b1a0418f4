"""Steady load: the highest rate at 90 % attainment, brickwork's server against plain Diffusers behind FastAPI.

    python benchmarks/system/steady.py                # the starter model, about half an hour
    python benchmarks/system/steady.py --quick        # one short seed and a coarse search, some five minutes

Contenders: brickwork with 2 executors of 1 thread, and stock Diffusers as {2 processes x 1 thread, 1 x 2}, each alone
on the machine, one after the other, through the same images contract and the same load tool (Poisson arrivals, open
loop; of two stock processes the one with fewer requests in flight). Equal seeds offer equal requests. The deadline of
all is the SLO scale times the latency of one request alone in stock Diffusers with one thread; brickwork is told it,
stock Diffusers has no use for it. A rate holds when 90 % of all requests of all seeds end within the deadline.

Printed: that rate for each, goodput and latency there and at a common rate (half of what two devices would carry
without any waiting), and brickwork's rate over that of the best stock contender.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console

from brickwork.cli.bench_order import PROMPTS
from brickwork.load.arrivals import gamma_times_s
from brickwork.load.bench import solo_offers
from brickwork.load.drive import LATE_SEND_S, Drive, solo_latency_s
from brickwork.load.offers import Kind, Offer, offers
from brickwork.load.report import MIN_ATTAINMENT, Figures, Sample, figures
from brickwork.load.search import highest_rate
from brickwork.load.servers import ImagesApi, Servers
from brickwork.load.table import table
from brickwork.starter.workflows import STARTER
from report import emit
from servers import brickwork_server, stock_servers

KIND = Kind("text-to-image", prompts=PROMPTS)
DEVICES = 2
COMMON_LOAD, FIRST_LOAD = 0.5, 0.7
"""Of what DEVICES would carry without any waiting: where all are compared, and where the search begins."""

TIMEOUT_S = 120.0
MAX_CONNECTIONS = 1000


@dataclass
class Contender:
    """A system under test, and what was measured of it."""

    name: str
    start: Callable[[], AbstractContextManager[list[str]]]
    tells_deadline: bool = False
    solo_s: float = 0.0
    common: Figures | None = None  # at the common rate
    rate_per_s: float = 0.0  # the highest that holds
    highest: Figures | None = None  # there
    late_sends: int = 0


@dataclass(frozen=True)
class Load:
    """How a rate is measured; the same for all."""

    deadline_s: float
    seeds: range
    seconds: float
    warm_up_s: float

    def offers(self, rate: float, seed: int) -> list[Offer]:
        times_s = gamma_times_s(rate, 1.0, self.warm_up_s + self.seconds, seed)
        return offers([KIND], times_s, {KIND.workflow: self.deadline_s}, seed)

    def is_measured(self, offer: Offer) -> bool:
        return offer.due_s >= self.warm_up_s

    def figures(self, contender: Contender, urls: list[str], rate: float) -> Figures:
        """All seeds at one rate, or as many as are needed to know that it does not hold."""
        runs = [self.offers(rate, seed) for seed in self.seeds]
        allowed = (1 - MIN_ATTAINMENT) * sum(self.is_measured(offer) for run in runs for offer in run)
        samples: list[Sample] = []
        count = 0
        for run in runs:
            samples += asyncio.run(self._samples(contender, urls, run))
            count += 1
            if sum(not sample.is_attained for sample in samples) > allowed:
                break
        found = figures(samples, count * self.seconds)
        say(f"{contender.name}: {rate:.2f} /s: attainment {found.attainment:.1%}, {count} seeds")
        return found

    async def _samples(self, contender: Contender, urls: list[str], run: list[Offer]) -> list[Sample]:
        async with Servers(urls, ImagesApi(), contender.tells_deadline) as servers:
            drains = solo_offers(KIND, 0)[: len(urls)]  # answered when nothing is left from before
            await asyncio.gather(*(servers.send(offer) for offer in drains))
            drive = Drive(servers, run, MAX_CONNECTIONS, TIMEOUT_S)
            await drive.run()
        ended = [sent for sent in drive.ended if self.is_measured(sent.offer)]
        contender.late_sends += sum(sent.sent_late_s > LATE_SEND_S for sent in ended)
        return [sent.sample for sent in ended]


def measure(contender: Contender, load: Load, ideal_per_s: float, resolution: float) -> None:
    """Start it, and find out how much it carries."""
    held: dict[float, Figures] = {}
    with contender.start() as urls:
        contender.solo_s = asyncio.run(alone_s(urls))
        say(f"{contender.name}: alone {contender.solo_s:.3f} s")

        def holds(rate: float) -> bool:
            found = load.figures(contender, urls, rate)
            if found.attainment >= MIN_ATTAINMENT:
                held[rate] = found
            return rate in held

        contender.common = load.figures(contender, urls, COMMON_LOAD * ideal_per_s)
        contender.rate_per_s = highest_rate(holds, FIRST_LOAD * ideal_per_s, resolution)
    contender.highest = held.get(contender.rate_per_s)


async def alone_s(urls: list[str]) -> float:
    async with Servers(urls, ImagesApi()) as servers:
        return await solo_latency_s(servers, solo_offers(KIND, 0), TIMEOUT_S)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def show(contenders: list[Contender], common_per_s: float) -> None:
    console = Console(stderr=True, width=160)
    common = {one.name: one.common for one in contenders if one.common}
    highest = {f"{one.name}: {one.rate_per_s:.2f} /s": one.highest for one in contenders if one.highest}
    console.print(table(f"at {common_per_s:.2f} /s", common))
    console.print(table("at the highest rate that holds", highest))


def described(contender: Contender) -> dict[str, Any]:
    return {
        "solo_s": round(contender.solo_s, 4),
        "rate_per_s": round(contender.rate_per_s, 3),
        "at_rate": rounded(contender.highest),
        "at_common_rate": rounded(contender.common),
        "late_sends": contender.late_sends,
    }


def rounded(found: Figures | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(found).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=STARTER)
    parser.add_argument("--slo-scale", type=float, default=2.0)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each seed and rate, after the warm-up")
    parser.add_argument("--warm-up", type=float, default=3.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--resolution", type=float, default=1.08)
    parser.add_argument("--quick", action="store_true", help="one seed of 5 seconds, resolution 1.3")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.warm_up, options.seeds, options.resolution = 5.0, 1.0, 1, 1.3
    model = options.model
    contenders = [
        Contender("stock, 2 processes x 1 thread", lambda: stock_servers(model, 2, 1)),
        Contender("stock, 1 process x 2 threads", lambda: stock_servers(model, 1, 2)),
        Contender("brickwork, 2 executors x 1 thread", lambda: brickwork_server(model, 2, 1), tells_deadline=True),
    ]
    with stock_servers(model, 1, 1) as urls:
        solo_s = asyncio.run(alone_s(urls))
    say(f"stock, 1 process x 1 thread: alone {solo_s:.3f} s; deadline of all {options.slo_scale * solo_s:.3f} s")
    seeds = range(options.seed, options.seed + options.seeds)
    load = Load(options.slo_scale * solo_s, seeds, options.seconds, options.warm_up)
    ideal_per_s = DEVICES / solo_s
    for contender in contenders:
        measure(contender, load, ideal_per_s, options.resolution)
    show(contenders, COMMON_LOAD * ideal_per_s)
    *stock, ours = contenders
    best = max(stock, key=lambda one: one.rate_per_s)
    result = {
        "seeds": len(seeds), "seconds": options.seconds, "warm_up_s": options.warm_up, "slo_scale": options.slo_scale,
        "deadline_s": round(load.deadline_s, 4), "common_per_s": round(COMMON_LOAD * ideal_per_s, 3),
        "contenders": {one.name: described(one) for one in contenders},
        "best_stock": best.name,
        "ratio": round(ours.rate_per_s / best.rate_per_s, 2) if best.rate_per_s else None,
    }  # fmt: skip
    emit("steady", options.seed, result)


if __name__ == "__main__":
    main()
