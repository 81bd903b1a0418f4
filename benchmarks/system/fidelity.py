"""E9: does the simulator tell what the live system will do? The same requests live and simulated, and what differs.

    python benchmarks/system/fidelity.py              # some six minutes
    python benchmarks/system/fidelity.py --quick      # two short runs, about a minute: says whether it works

Live is the embedded set: a coordinator in this process, 2 executors of 1 thread, the starter's workflows, deadlines and
admission on. One live run at a low load, with a few bursts, is observed and gives a profile: seconds of every call as
served, what a hop between coordinator and executor takes, and by how much batches scatter. Then come the runs that are
compared, at another load and with other arrivals, each on a fresh set: Poisson, open loop, latency from when a request
was due. The simulator is given that profile, those arrivals, deadlines and inputs, and nothing else of those runs.

The load is what keeps two executors half busy, as the coordinator and the generator need processor time as well: on a
machine with no more cores than executors they take it from them, and the simulator knows nothing of it beyond what the
observed run suffered likewise.

Printed: p50, p99 and attainment of both over all runs, their differences, and the range of the live runs. Bounds: p50
within 5 %, p99 within 10 % or the range of the live runs where that is wider, attainment within 3 points.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image

from brickwork.cli.bench_order import PROMPTS
from brickwork.control.machine import Control
from brickwork.coordinator.coordinator import Coordinator
from brickwork.coordinator.embedded import embedded, submission_of
from brickwork.coordinator.observed import Notes, Serving, serving
from brickwork.core.errors import Cancelled, Expired, Rejected, RequestFailed
from brickwork.core.ids import RequestId
from brickwork.core.request import SLO, Outcome, Request
from brickwork.executor.config import shares
from brickwork.load.arrivals import gamma_times_s
from brickwork.load.offers import Kind, Offer, offers
from brickwork.load.report import Figures, Sample, figures
from brickwork.profile.files import starter_profile
from brickwork.profile.table import Profile
from brickwork.sim.cluster import Cluster, Slot
from brickwork.sim.workload import Arrival
from brickwork.starter.workflows import image_to_image, text_to_image, text_to_image_quick
from report import emit

EXECUTORS, DEVICE = 2, "cpu-1"
MEMORY_BYTES = 1 << 30
PICTURE = Image.linear_gradient("L").convert("RGB").resize((64, 64))
WORKFLOWS = {flow.name: flow for flow in (text_to_image(), text_to_image_quick(), image_to_image())}
KINDS = [
    Kind("text-to-image", 0.4, {}, PROMPTS),
    Kind("text-to-image", 0.2, {"steps": 8}, PROMPTS),
    Kind("text-to-image-quick", 0.2, {}, PROMPTS),
    Kind("image-to-image", 0.2, {"image": PICTURE}, PROMPTS),
]
PROFILE_SEED = 1000
BURSTS = (1, 2, 4)
"""Equal requests at once on each executor, in the observed run: so that large batches are in the profile, too."""

WARM_UPS = 3
SIMULATED_START_S = 30.0
SETTLE_S = 0.3


@dataclass(frozen=True)
class Load:
    """What is offered in a run that is compared."""

    rate_per_s: float
    seconds: float
    deadlines_s: dict[str, float]  # by name of a kind

    def offers(self, seed: int) -> list[Offer]:
        drawn = offers(KINDS, gamma_times_s(self.rate_per_s, 1.0, self.seconds, seed), {}, seed)
        return [replace(offer, deadline_s=self.deadlines_s.get(name_of(offer))) for offer in drawn]


def name_of(kind: Kind | Offer) -> str:
    """Tells kinds of requests apart."""
    return f"{kind.workflow} {kind.inputs.get('steps', '')}".strip()


def equal(kind: Kind, count: int) -> list[Offer]:
    """Requests at once, without deadline."""
    inputs = {"prompt": PROMPTS[0], "seed": 1, **kind.inputs}
    return [Offer(number, 0.0, kind.workflow, inputs, None) for number in range(count)]


class Live:
    """A set that serves offers."""

    def __init__(self, coordinator: Coordinator):
        self.coordinator = coordinator
        self._taken = 0

    async def serve(self, run: Sequence[Offer]) -> list[Sample]:
        """Submit each offer when it is due; returns how they ended, in the order of `run`."""
        start_s = monotonic()
        ending = []
        for offer in run:
            await asyncio.sleep(max(0.0, start_s + offer.due_s - monotonic()))
            ending.append(asyncio.ensure_future(self._one(offer, start_s + offer.due_s)))
        return list(await asyncio.gather(*ending))

    async def _one(self, offer: Offer, due_s: float) -> Sample:
        self._taken += 1
        submission = submission_of(WORKFLOWS[offer.workflow], offer.inputs, SLO(offer.deadline_s))
        request_id = RequestId(f"r-{self._taken}")
        run = self.coordinator.submit(replace(submission, arrived_s=due_s), request_id=request_id)
        outcome = Outcome.SUCCEEDED
        try:
            await run.finished
        except (Rejected, Expired, Cancelled, RequestFailed) as error:
            outcome = ENDS[type(error)]
        return Sample(name_of(offer), outcome, run.ended_s - due_s, offer.deadline_s)


ENDS = {
    Rejected: Outcome.REJECTED,
    Expired: Outcome.EXPIRED,
    Cancelled: Outcome.CANCELLED,
    RequestFailed: Outcome.FAILED,
}


@asynccontextmanager
async def live_set(profile: Profile) -> AsyncIterator[Live]:
    """A fresh set that has loaded the models of all kinds, on every executor."""
    coordinator = embedded(EXECUTORS, 1, MEMORY_BYTES, control=Control(profile))
    await coordinator.start()
    try:
        live = Live(coordinator)
        for _ in range(WARM_UPS):
            await live.serve(warm_up())
        yield live
    finally:
        await coordinator.close()


def warm_up() -> list[Offer]:
    return [offer for kind in KINDS for offer in equal(kind, EXECUTORS)]


async def observe(rate_per_s: float, seconds: float) -> tuple[Serving, dict[str, float]]:
    """The profile of a live run, and the latency of each kind of request alone."""
    async with live_set(starter_profile()) as live:
        notes = live.coordinator.observer = Notes()
        alone_s = {}
        for kind in KINDS:
            solo = [(await live.serve(equal(kind, 1)))[0].latency_s for _ in range(7)]
            alone_s[name_of(kind)] = median(each for each in solo if each is not None)
            for size in BURSTS:
                await live.serve(equal(kind, size * EXECUTORS))
        await live.serve(Load(rate_per_s, seconds, {}).offers(PROFILE_SEED))
    return serving(notes, DEVICE, starter_profile().devices[DEVICE]), alone_s


async def measure(profile: Profile, run: Sequence[Offer]) -> list[Sample]:
    async with live_set(profile) as live:
        await asyncio.sleep(SETTLE_S)
        return await live.serve(run)


def predict(seen: Serving, run: Sequence[Offer], seed: int) -> list[Sample]:
    """The same, simulated: the warm-up, then the offers."""
    cluster = Cluster(Control(seen.profile), seen.profile, seed, seen.noise, logs=False, link_s=seen.hop_s)
    for number in range(EXECUTORS):
        cluster.add(Slot(f"e{number}", shares(MEMORY_BYTES).model_bytes, DEVICE, max_degree=1))
    for turn in range(WARM_UPS):
        for number, offer in enumerate(warm_up()):
            cluster.submit(arrival(offer, f"warm-{turn}-{number}", (turn + 1) * SIMULATED_START_S / (WARM_UPS + 1)))
    for offer in run:
        cluster.submit(arrival(offer, f"r-{offer.number}", SIMULATED_START_S + offer.due_s))
    runs = cluster.run().runs.by_id()
    return [replace(runs[RequestId(f"r-{offer.number}")].sample, workflow=name_of(offer)) for offer in run]


def arrival(offer: Offer, name: str, time_s: float) -> Arrival:
    submission = submission_of(WORKFLOWS[offer.workflow], offer.inputs, SLO(offer.deadline_s))
    plan = submission.plan
    request = Request(RequestId(name), plan.workflow, tuple(submission.values.items()), submission.slo)
    return Arrival(time_s, request, plan)


def compared(live: list[list[Sample]], simulated: list[list[Sample]], seconds: float, histories: int) -> dict[str, Any]:
    """Figures of all runs together, live and simulated, their differences, and whether they are within the bounds."""
    real, predicted = pooled(live, seconds), pooled(simulated, seconds * histories)
    tails = [figures(run, seconds).latency_s_p99 or 0.0 for run in live]
    tail_range = (max(tails) - min(tails)) / (real.latency_s_p99 or 1.0)
    p50, p99 = (
        relative(predicted.latency_s_p50, real.latency_s_p50),
        relative(predicted.latency_s_p99, real.latency_s_p99),
    )
    points = 100 * (predicted.attainment - real.attainment)
    return {
        "live": written(real), "simulated": written(predicted),
        "live_runs": [written(figures(run, seconds)) for run in live],
        "kinds_p50_s": {name: [median_s(live, name), median_s(simulated, name)] for name in map(name_of, KINDS)},
        "p50_percent": round(100 * p50, 2), "p99_percent": round(100 * p99, 2), "attainment_points": round(points, 2),
        "live_p99_range_percent": round(100 * tail_range, 2),
        "holds": {"p50": abs(p50) <= 0.05, "p99": abs(p99) <= max(0.10, tail_range), "attainment": abs(points) <= 3.0},
    }  # fmt: skip


def pooled(runs: list[list[Sample]], seconds: float) -> Figures:
    return figures([sample for run in runs for sample in run], seconds * len(runs))


def median_s(runs: list[list[Sample]], name: str) -> float | None:
    """Of the requests of one kind."""
    found = pooled([[sample for sample in run if sample.workflow == name] for run in runs], 1.0).latency_s_p50
    return None if found is None else round(found, 4)


def relative(value: float | None, reference: float | None) -> float:
    return float("inf") if value is None or reference is None else value / reference - 1.0


def written(found: Figures) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(found).items()}


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def told(name: str, found: Figures) -> None:
    p50, p99 = found.latency_s_p50 or 0.0, found.latency_s_p99 or 0.0
    say(f"{name}: {found.offered} requests, p50 {p50:.4f} s, p99 {p99:.4f} s, attainment {found.attainment:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=7.5, help="requests per second of the runs that are compared")
    parser.add_argument("--seconds", type=float, default=40.0, help="of each run")
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0, help="of the first run")
    parser.add_argument("--slo-scale", type=float, default=2.0, help="deadline / latency alone in the observed run")
    parser.add_argument("--profile-rate", type=float, default=5.0, help="requests per second of the observed run")
    parser.add_argument("--profile-seconds", type=float, default=40.0)
    parser.add_argument("--histories", type=int, default=5, help="simulated for each live run, of other noise")
    parser.add_argument("--quick", action="store_true", help="two runs of 8 seconds")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.runs, options.profile_seconds = 8.0, 2, 5.0
    seen, alone_s = asyncio.run(observe(options.profile_rate, options.profile_seconds))
    say(f"observed: hop {1e3 * seen.hop_s:.2f} ms, noise {seen.noise:.1%}, alone {alone_s}")
    load = Load(options.rate, options.seconds, {name: options.slo_scale * each for name, each in alone_s.items()})
    live: list[list[Sample]] = []
    simulated: list[list[Sample]] = []
    for seed in range(options.seed, options.seed + options.runs):
        run = load.offers(seed)
        live.append(asyncio.run(measure(seen.profile, run)))
        told(f"live, seed {seed}", figures(live[-1], options.seconds))
        histories = [predict(seen, run, history) for history in range(options.histories)]
        simulated.append([sample for history in histories for sample in history])
        told("simulated", figures(simulated[-1], options.seconds * options.histories))
    result = {
        "runs": options.runs, "seconds": options.seconds, "rate_per_s": options.rate, "slo_scale": options.slo_scale,
        "profile_rate_per_s": options.profile_rate, "alone_s": {name: round(each, 4) for name, each in alone_s.items()},
        "hop_s": round(seen.hop_s, 6), "noise": round(seen.noise, 4),
        **compared(live, simulated, options.seconds, options.histories),
    }  # fmt: skip
    emit("fidelity", options.seed, result)


if __name__ == "__main__":
    main()
