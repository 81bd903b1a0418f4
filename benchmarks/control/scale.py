"""What deciding costs: process CPU time of `Control.handle` per request, at 60 % load, with every policy on.

    python benchmarks/control/scale.py                      1,000 executors, 50 models, 200 workflows
    python benchmarks/control/scale.py --executors 100      fewer
    python benchmarks/control/scale.py --sets 10            10 sets of 1,000, requests spread by the router
    python benchmarks/control/scale.py --profile            where the time goes
    scripts/compiled python benchmarks/control/scale.py     the same, compiled
    python benchmarks/control/scale.py --simulate --requests 1000000    what simulating takes, control included

Every start and end of a task is an event; heartbeats are not. Workflows are chains (encode, denoise, decode) over a
shared pool of models, popular ones first (Zipf 1.0), some with a deadline, of four tenants. The history of a simulated
run is decided once more, and only that is timed, as a whole. With --simulate the simulation itself is timed, and its
peak memory told. Prints one JSON line with commit, seed and machine.
"""

import argparse
import cProfile
import gc
import json
import platform
import pstats
import subprocess
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from random import Random
from resource import RUSAGE_SELF, getrusage
from time import process_time

from brickwork.compiler.plan import Plan, PlanTask, Program, ProgramId, Role, Work
from brickwork.control import machine
from brickwork.control.events import Event
from brickwork.control.fairness import Tenant
from brickwork.control.machine import Control
from brickwork.core.ids import ModelId, PlanId, RequestId
from brickwork.core.model import ModelSpec
from brickwork.core.request import SLO, Request
from brickwork.graph.ir import Input
from brickwork.graph.types import INT, TEXT, Type
from brickwork.profile.table import CallProfile, Curve, DeviceProfile, Profile
from brickwork.router.policy import SetSummary, choose_set
from brickwork.sim.cluster import Cluster, Slot
from brickwork.sim.report import Report
from brickwork.sim.workload import Arrival

GIB = 1 << 30
LATENT = Type("latent", "bench", "bfloat16", (16, 128, 128))
STEPS = 20
ENCODE_S, STEP_S, DECODE_S = 0.02, 0.08, 0.1
REQUEST_S = ENCODE_S + STEPS * STEP_S + DECODE_S
TENANTS = {"a": Tenant(), "b": Tenant(weight=2.0), "c": Tenant(weight=4.0), "d": Tenant(priority=1)}


def replay_s(truth: Profile, history: list[tuple[Event, float]]) -> float:
    """CPU seconds of deciding a history. The collector does not look through what the benchmark itself holds."""
    control = Control(truth, tenants=TENANTS)
    gc.collect()
    gc.freeze()
    start_s = process_time()
    for event, now_s in history:
        control.handle(event, now_s)
        control.next_wake_s()
    return process_time() - start_s


def model(kind: str, number: int, gib: float) -> ModelSpec:
    name = f"{kind}{number}"
    return ModelSpec(ModelId(name), f"bench.{kind}", "", "bfloat16", int(gib * GIB), name)


def program(kind: str, spec: ModelSpec, rows: int, trips: tuple[str, str] | None) -> Program:
    first = ("p0", TEXT if kind == "encode" else LATENT)
    params = (first, ("p1", INT), ("p2", INT)) if trips else (first,)
    work = (Work(f"{spec.profile}/{kind}", LATENT, rows, trips),)
    roles = (Role("base", (spec.id,), ()),) if trips else ()
    return Program(ProgramId(f"{kind} {spec.id}"), params, (), (("out", LATENT),), (spec.id,), roles, work)


def workflow(number: int, text: ModelSpec, base: ModelSpec, vae: ModelSpec) -> Plan:
    programs = (
        program("encode", text, 1, None),
        program("denoise", base, 2, ("p1", "p2")),
        program("decode", vae, 1, None),
    )
    encode, denoise, decode = (each.id for each in programs)
    tasks = (
        PlanTask("encode", encode, ("prompt",), ("text",), (), ()),
        PlanTask("denoise", denoise, ("text", "start", "steps"), ("latents",), ("encode",), ("text",)),
        PlanTask("decode", decode, ("latents",), ("image",), ("denoise",), ("latents",)),
    )
    inputs = (Input("prompt", TEXT), Input("start", INT, default=0), Input("steps", INT, default=STEPS))
    name = f"workflow-{number}"
    return Plan(PlanId(name), name, inputs, (), tasks, programs, (text, base, vae), (("image", "image"),))


def pool(models: int, workflows: int, random: Random) -> list[Plan]:
    """`workflows` chains over `models` models: a fifth text encoders, a fifth decoders, the rest bases."""
    fifth = max(1, models // 5)
    texts = [model("text", k, 2.0) for k in range(fifth)]
    vaes = [model("vae", k, 0.2) for k in range(fifth)]
    bases = [model("base", k, 8.0) for k in range(models - 2 * fifth)]
    return [workflow(k, random.choice(texts), bases[k % len(bases)], random.choice(vaes)) for k in range(workflows)]


def profile(plans: list[Plan]) -> Profile:
    shapes = {
        "text": (Curve(((1, ENCODE_S), (8, 3 * ENCODE_S))), {}),
        "base": (Curve(((1, 0.6 * STEP_S), (2, STEP_S), (16, 7 * STEP_S))), {2: 1.8, 4: 3.2}),
        "vae": (Curve(((1, DECODE_S), (8, 8 * DECODE_S))), {}),
    }
    kinds = {"text": "encode", "base": "denoise", "vae": "decode"}
    calls = {}
    for name in {spec.profile for plan in plans for spec in plan.models}:
        kind = name.rstrip("0123456789")
        curve, speedups = shapes[kind]
        calls[f"{name}/{kinds[kind]}"] = {"any": CallProfile(curve, Curve(((1, 1e8),)), speedups)}
    return Profile({"bench": DeviceProfile(calls, load_base_s=0.1, load_bytes_per_s=8.0 * GIB)})


def arrivals(plans: list[Plan], rate_per_s: float, count: int, random: Random) -> Iterator[Arrival]:
    popularity = list(accumulate(1.0 / (k + 1) for k in range(len(plans))))
    time_s = 0.0
    for number in range(count):
        time_s += random.expovariate(rate_per_s)
        plan = random.choices(plans, cum_weights=popularity)[0]
        slo = SLO(random.choice([None, 2.0 * REQUEST_S, 4.0 * REQUEST_S]))
        values = (("prompt", ""), ("start", 0), ("steps", STEPS))
        request = Request(RequestId(f"r-{number}"), plan.workflow, values, slo, random.choice("abcd"))
        yield Arrival(time_s, request, plan)


def simulated(
    executors: int, truth: Profile, offered: Iterable[Arrival], seed: int, told: Callable[[Event, float], None] | None
) -> Report:
    cluster = Cluster(Control(truth, tenants=TENANTS), truth, seed, logs=False, told=told)
    for number in range(executors):
        cluster.add(Slot(f"e{number}", 58 * GIB, "bench"))
    cluster.feed(offered)
    report = cluster.run()
    outcomes = dict(sorted(report.outcomes.items()))
    print(f"# {outcomes}, batches {dict(report.batch_sizes.most_common(4))}, loads {report.loads.total()}", flush=True)
    return report


def history_of(executors: int, truth: Profile, offered: Iterable[Arrival], seed: int) -> list[tuple[Event, float]]:
    """Every event with its time, so that the same history can be decided again and timed alone."""
    history: list[tuple[Event, float]] = []
    simulated(executors, truth, offered, seed, lambda event, now_s: history.append((event, now_s)))
    return history


def simulation(options: argparse.Namespace, truth: Profile, offered: Iterable[Arrival]) -> dict[str, float]:
    """Simulate and say what that took."""
    start_s = process_time()
    report = simulated(options.executors, truth, offered, options.seed, None)
    cpu_s = process_time() - start_s
    return {
        "cpu_s": round(cpu_s, 1), "us_per_request": round(1e6 * cpu_s / options.requests, 1), "events": report.events,
        "peak_mib": getrusage(RUSAGE_SELF).ru_maxrss // 1024,
    }  # fmt: skip


def routed(offered: Iterable[Arrival], sets: int) -> list[list[Arrival]]:
    """The arrivals of each set, as the router spreads them when every set is equally loaded."""
    given: list[list[Arrival]] = [[] for _ in range(sets)]
    for arrival in offered:
        models = frozenset(spec.id for spec in arrival.plan.models)
        summaries = [SetSummary(f"set-{k}", 1000, float(len(mine)), 0.0, models) for k, mine in enumerate(given)]
        given[int(choose_set(summaries, models).removeprefix("set-"))].append(arrival)
    return given


def decision(options: argparse.Namespace, truth: Profile, offered: Iterable[Arrival]) -> dict[str, float]:
    """Record the histories of all sets, and decide them once more."""
    histories = [history_of(options.executors, truth, mine, options.seed) for mine in routed(offered, options.sets)]
    profiler = cProfile.Profile() if options.profile else None
    if profiler:
        profiler.enable()
    seconds = sum(replay_s(truth, history) for history in histories)
    if profiler:
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(40)
    events = sum(len(history) for history in histories)
    return {
        "us_per_request": round(1e6 * seconds / options.requests, 1), "us_per_event": round(1e6 * seconds / events, 1),
        "events_per_request": round(events / options.requests, 2),
    }  # fmt: skip


def commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--executors", type=int, default=1000, help="of one set (default: 1000)")
    parser.add_argument("--sets", type=int, default=1)
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--workflows", type=int, default=200)
    parser.add_argument("--requests", type=int, default=10_000, help="of all sets (default: 10000)")
    parser.add_argument("--load", type=float, default=0.6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--simulate", action="store_true", help="time the simulation of one set, and its memory")
    parser.add_argument("--profile", action="store_true", help="print the 40 dearest functions")
    options = parser.parse_args()
    random = Random(f"scale {options.seed}")
    plans = pool(options.models, options.workflows, random)
    rate_per_s = options.load * options.executors * options.sets / REQUEST_S
    offered = arrivals(plans, rate_per_s, options.requests, random)
    truth = profile(plans)
    if options.simulate:
        measured = simulation(options, truth, offered)
    else:
        measured = decision(options, truth, offered)
    figures = {
        "benchmark": "control/scale", "what": "simulation" if options.simulate else "control", **measured,
        "executors": options.executors * options.sets, "sets": options.sets, "models": options.models,
        "workflows": options.workflows, "requests": options.requests, "load": options.load, "seed": options.seed,
        "commit": commit(), "machine": platform.machine(), "python": platform.python_version(),
        "compiled": machine.__file__.endswith(".so"), "simulated": True,
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
