"""What does a narrower or compiled variant of the starter cost, and what does it change?

Bytes are those of the weights in memory. Latency is that of a request alone on one executor: rounds in which every
variant serves the same caption, in an order that turns, so that what else the machine does weighs on all; shown is the
median over the rounds of a variant's time by fp32's in that round, with its 95 % interval. The first request of a
variant pays for loads and compilation and is shown apart; compiled code of earlier runs is not used. Pictures are
painted by two executors, each one at a time, with the same seeds for every variant. Distance is that of all pictures
to fp32's, as a signal-to-noise ratio: infinite when they are the same. Adherence is the share of pictures that the
detector of `brickwork.starter.detect` finds right in every word, with Wilson's 95 % interval.
"""

import argparse
import math
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import brickwork as bw
from brickwork.starter.detect import judge
from brickwork.starter.evaluate import Case, cases, wilson
from brickwork.starter.words import say
from brickwork.starter.workflows import text_to_image
from report import bootstrap, emit, median

VARIANTS: dict[str, dict[str, Any]] = {
    "fp32": {},
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
    "int8": {"precision": "int8"},
    "int8 transformer": {"precision": {"transformer": "int8"}},
    "fp32, compiled transformer": {"compile": {"transformer": True}},
}
REFERENCE = "fp32"
EVERY = 2
"""Of the 256 captions, every second: 128 pictures a variant."""

ROUNDS = 24
PAINTERS = 2
"""Executors that paint the pictures."""


@dataclass(frozen=True)
class Times:
    """What requests of one variant took, each alone."""

    first_s: float
    rounds_s: list[float]


def time_alone(workflows: dict[str, bw.Workflow], todo: list[Case], rounds: int) -> dict[str, Times]:
    """Every variant's first request, then `rounds` rounds of one request each."""
    with bw.Cluster(executors=1) as cluster:

        def seconds(name: str, case: Case) -> float:
            return cluster.run(workflows[name], prompt=say(case.what), seed=case.seed, deterministic=True).seconds

        first_s = {name: seconds(name, todo[0]) for name in workflows}
        names, taken_s = list(workflows), {name: list[float]() for name in workflows}
        for number in range(rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                taken_s[name].append(seconds(name, todo[number % len(todo)]))
            progress("rounds", number + 1, rounds)
    return {name: Times(first_s[name], taken_s[name]) for name in names}


def paint(name: str, workflow: bw.Workflow, todo: list[Case], cluster: bw.Cluster) -> np.ndarray:
    """A picture a caption, uint8 [captions, 64, 64, 3]; as many at once as there are executors, none in one batch."""

    def picture(case: Case) -> np.ndarray:
        return np.asarray(cluster.run(workflow, prompt=say(case.what), seed=case.seed, deterministic=True).image)

    pictures = []
    with ThreadPoolExecutor(PAINTERS) as painters:
        for painted in painters.map(picture, todo):
            pictures.append(painted)
            progress(name, len(pictures), len(todo))
    return np.stack(pictures)


def progress(what: str, done: int, total: int) -> None:
    print(f"\r{what}: {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def adherence(pictures: np.ndarray, todo: list[Case]) -> tuple[float, tuple[float, float]]:
    """The share of right pictures and its 95 % interval."""
    right = sum(judge(case.what, picture).all_right for case, picture in zip(todo, pictures, strict=True))
    return right / len(todo), wilson(right, len(todo))


def distance_db(pictures: np.ndarray, reference: np.ndarray) -> float:
    error = float(np.mean((pictures.astype(float) - reference.astype(float)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def ratio(times: Times, reference: Times) -> tuple[float, tuple[float, float]]:
    """By how much a variant is slower than the reference, round by round: the median and its 95 % interval."""
    ratios: Sequence[float] = [
        taken_s / reference_s for taken_s, reference_s in zip(times.rounds_s, reference.rounds_s, strict=True)
    ]
    return median(ratios), bootstrap(ratios, median, seed=0)


def measure(names: list[str], todo: list[Case], rounds: int) -> list[dict[str, Any]]:
    """The figures of every variant, JSON-able."""
    workflows = {name: text_to_image(**VARIANTS[name]) for name in names}
    times = time_alone(workflows, todo, rounds)
    with bw.Cluster(executors=PAINTERS) as cluster:
        pictures = {name: paint(name, workflow, todo, cluster) for name, workflow in workflows.items()}
    return [
        figures(name, workflows[name], times[name], times[REFERENCE])
        | quality(pictures[name], pictures[REFERENCE], todo)
        for name in names
    ]


def figures(name: str, workflow: bw.Workflow, times: Times, reference: Times) -> dict[str, Any]:
    """What a variant costs."""
    slower, interval = ratio(times, reference)
    return {
        "variant": name,
        "megabytes": round(sum(model.weight_bytes for model in workflow.plan.models) / 1e6, 2),
        "first_s": round(times.first_s, 2),
        "latency_ms": round(median(times.rounds_s) * 1e3, 1),
        "latency_ratio": round(slower, 3),
        "latency_ratio_interval": [round(bound, 3) for bound in interval],
    }


def quality(pictures: np.ndarray, reference: np.ndarray, todo: list[Case]) -> dict[str, Any]:
    """What a variant changes."""
    apart_db = distance_db(pictures, reference)
    share, interval = adherence(pictures, todo)
    return {
        "psnr_db": None if math.isinf(apart_db) else round(apart_db, 1),
        "adherence": round(share, 4),
        "adherence_interval": [round(bound, 4) for bound in interval],
    }


def show(rows: list[dict[str, Any]], pictures: int, rounds: int) -> str:
    """The figures as a table in markdown."""
    lines = [
        f"| variant | weights, MB | first request, s | latency by fp32's ({rounds} rounds) "
        f"| distance to fp32, dB ({pictures} pictures) | adherence ({pictures} pictures) |",
        "| --- | --: | --: | --- | --: | --- |",
    ]
    for each in rows:
        apart = "same" if each["psnr_db"] is None else each["psnr_db"]
        low, high = each["latency_ratio_interval"]
        slower = f"{each['latency_ratio']:.2f} ({low:.2f} to {high:.2f})"
        low, high = each["adherence_interval"]
        share = f"{each['adherence']:.1%} ({low:.1%} to {high:.1%})"
        cells = (each["variant"], each["megabytes"], each["first_s"], slower, apart, share)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=EVERY, help="only every n-th caption is painted")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="requests a variant whose time is taken")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="fp32 is always run")
    given = parser.parse_args()
    names, todo = [name for name in VARIANTS if name in (REFERENCE, *given.variants)], cases(seeds=1, only=given.every)
    with TemporaryDirectory() as compiled:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = compiled  # read by executors, which are started with this environment
        rows = measure(names, todo, given.rounds)
    print(show(rows, len(todo), given.rounds))
    emit("system/precision", todo[0].seed, {"pictures": len(todo), "rounds": given.rounds, "rows": rows})


if __name__ == "__main__":
    main()
