"""Overload: twice what devices can do, with deadlines. Is as much accepted, in time, and do refusals keep their word?

    python benchmarks/system/overload.py              # the starter model, 3 seeds, some four minutes
    python benchmarks/system/overload.py --quick      # one short seed

Open loop, Poisson, text-to-image with its defaults through POST /v1/jobs, on 2 executors of 1 thread. The deadline is
the SLO scale times the latency of one request alone. A refused client comes back once, when it was told to, as the
same request (its idempotency key), with a new deadline.

The capacity is predicted from the shipped profile: requests per second in the largest batches that the deadline allows
to those who have just missed one (they wait for it, then ride in their own). `slowdown` says by how much a request
alone took longer than the profile says, on this machine as it was; the capacity is taken down by it.

Printed: accepted over capacity (>= 0.9 is wanted), attainment of the accepted (>= 0.9), and the share of those who came
back as told that were accepted (>= 0.9).
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from brickwork.cli.bench_order import PROMPTS
from brickwork.compiler.instance import ConcreteWork, resolve, shape_key, task_work
from brickwork.control.estimate import Estimate
from brickwork.core.request import Outcome
from brickwork.load.arrivals import gamma_times_s
from brickwork.load.bench import solo_offers
from brickwork.load.drive import solo_latency_s
from brickwork.load.offers import Kind, Offer, offers
from brickwork.load.servers import Answer, JobsApi, Servers
from brickwork.profile.correction import Correction
from brickwork.profile.files import starter_profile
from brickwork.starter.workflows import STARTER, text_to_image
from brickwork.workflow.api import Workflow
from brickwork.workflow.inputs import validate
from report import emit
from servers import brickwork_server

EXECUTORS, DEVICE = 2, "cpu-1"
TIMEOUT_S = 120.0
MAX_BATCH = 16


@dataclass(frozen=True)
class Capacity:
    """What the profile says of one workflow."""

    tasks: list[tuple[tuple[ConcreteWork, ...], int]]  # works of each task, and how many are worth running together

    def cycle_s(self, size: int) -> float:
        """Device seconds of `size` requests that run together."""
        total_s = 0.0
        for works, limit in self.tasks:
            together = min(size, limit)
            total_s += size / together * ESTIMATE.equal_batch_s(DEVICE, works, together)
        return total_s

    def per_s(self, deadline_s: float) -> float:
        sizes = [size for size in range(1, MAX_BATCH + 1) if size == 1 or 2.0 * self.cycle_s(size) <= deadline_s]
        return max(EXECUTORS * size / self.cycle_s(size) for size in sizes)


ESTIMATE = Estimate(starter_profile(), Correction())


def capacity_of(workflow: Workflow) -> Capacity:
    plan = workflow.plan
    scalars = resolve(plan, validate(plan.inputs, {"prompt": PROMPTS[0]}))
    tasks = []
    for task in plan.tasks:
        works = task_work(plan, task, scalars)
        tasks.append((works, ESTIMATE.limit(DEVICE, task.program, shape_key(plan, task, scalars), works)))
    return Capacity(tasks)


@dataclass
class Tally:
    """What became of the requests of all seeds."""

    offered: int = 0
    accepted: int = 0  # at the first attempt or the second
    accepted_in_time: int = 0  # before the arrivals ended
    attained: int = 0
    returned: int = 0
    returned_accepted: int = 0
    failed: int = 0
    told_s: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def take(self, answer: Answer, latency_s: float, offer: Offer, is_in_time: bool) -> bool:
        """Count one attempt; whether it was accepted."""
        if answer.outcome is Outcome.REJECTED:
            return False
        self.failed += answer.outcome is Outcome.FAILED
        self.accepted += 1
        self.accepted_in_time += is_in_time
        assert offer.deadline_s is not None
        self.attained += answer.outcome is Outcome.SUCCEEDED and latency_s <= offer.deadline_s
        return True


async def one(servers: Servers, offer: Offer, tally: Tally, end_s: float) -> None:
    """A client: it asks, and if it is refused it comes back once, when it was told to."""
    start_s = monotonic()
    answer = await servers.send(offer)
    if tally.take(answer, monotonic() - start_s, offer, start_s <= end_s) or answer.retry_after_s is None:
        return
    tally.told_s.append(answer.retry_after_s)
    await asyncio.sleep(answer.retry_after_s)
    start_s = monotonic()
    answer = await servers.send(offer)
    tally.returned += 1
    tally.returned_accepted += tally.take(answer, monotonic() - start_s, offer, start_s <= end_s)


async def seed_run(url: str, run: list[Offer], seconds: float, tally: Tally) -> None:
    async with Servers([url], JobsApi()) as servers, asyncio.TaskGroup() as group:
        start_s = monotonic()
        for offer in run:
            await asyncio.sleep(max(0.0, start_s + offer.due_s - monotonic()))
            group.create_task(one(servers, offer, tally, start_s + seconds))
    tally.offered += len(run)
    tally.seconds += seconds


async def alone_s(url: str) -> float:
    async with Servers([url], JobsApi()) as servers:
        return await solo_latency_s(servers, solo_offers(KIND, 0), TIMEOUT_S)


KIND = Kind("text-to-image", prompts=PROMPTS)


def measure(url: str, options: argparse.Namespace) -> Mapping[str, Any]:
    capacity = capacity_of(text_to_image(options.model))
    solo_s = asyncio.run(alone_s(url))
    deadline_s = options.slo_scale * solo_s
    slowdown = max(1.0, solo_s / capacity.cycle_s(1))
    per_s = capacity.per_s(deadline_s / slowdown) / slowdown
    print(f"alone {solo_s:.3f} s, deadline {deadline_s:.3f} s, capacity {per_s:.2f} /s", file=sys.stderr, flush=True)
    tally = Tally()
    for seed in range(options.seed, options.seed + options.seeds):
        times_s = gamma_times_s(options.times * per_s, 1.0, options.seconds, seed)
        run = offers([KIND], times_s, {KIND.workflow: deadline_s}, seed)
        asyncio.run(seed_run(url, run, options.seconds, tally))
    told_s = sorted(tally.told_s)
    return {
        "slo_scale": options.slo_scale, "times": options.times, "seeds": options.seeds, "seconds": options.seconds,
        "solo_s": round(solo_s, 4), "deadline_s": round(deadline_s, 4), "slowdown": round(slowdown, 3),
        "capacity_per_s": round(per_s, 2), "offered": tally.offered, "accepted": tally.accepted,
        "accepted_over_capacity": round(tally.accepted_in_time / tally.seconds / per_s, 3),
        "attainment_of_accepted": round(tally.attained / max(1, tally.accepted), 3),
        "returned": tally.returned,
        "returned_accepted": round(tally.returned_accepted / max(1, tally.returned), 3),
        "failed": tally.failed,
        "retry_after_s_p50": round(told_s[len(told_s) // 2], 3) if told_s else None,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=STARTER)
    parser.add_argument("--slo-scale", type=float, default=3.0)
    parser.add_argument("--times", type=float, default=2.0, help="the capacity, offered")
    parser.add_argument("--seconds", type=float, default=30.0, help="of arrivals for each seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--quick", action="store_true", help="one seed of 8 seconds")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.seeds = 8.0, 1
    with brickwork_server(options.model, EXECUTORS, threads=1) as (url,):
        figures = measure(url, options)
    emit("overload", options.seed, dict(figures))


if __name__ == "__main__":
    main()
