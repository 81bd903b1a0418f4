"""What does a narrower or compiled variant of the starter cost, and what does it change?

Captions of the starter's evaluation, one after the other on one executor, the same seeds for every variant. Bytes are
those of the weights in memory. Latency is the median of a request alone, as a ratio to fp32's; the first request of a
variant pays for loads and compilation and is shown apart. Distance is that of all pictures to fp32's, as a
signal-to-noise ratio: infinite when they are the same. Adherence is the share of pictures that the detector of
`brickwork.starter.detect` finds right in every word, with Wilson's 95 % interval.
"""

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import brickwork as bw
from brickwork.starter.detect import judge
from brickwork.starter.evaluate import Case, cases, wilson
from brickwork.starter.words import say
from brickwork.starter.workflows import text_to_image
from report import emit, median

VARIANTS: dict[str, dict[str, Any]] = {
    "fp32": {},
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
    "int8": {"precision": "int8"},
    "int8 transformer": {"precision": {"transformer": "int8"}},
    "fp32, compiled transformer": {"compile": {"transformer": True}},
}
EVERY = 2
"""Of the 256 captions, every second: 128 pictures a variant."""


@dataclass(frozen=True)
class Run:
    """What one variant painted."""

    nbytes: int
    first_s: float
    latency_s: float
    pictures: np.ndarray  # [pictures, 64, 64, 3] uint8
    right: int


def run(variant: dict[str, Any], todo: list[Case]) -> Run:
    """Paint all captions with one variant, one at a time."""
    workflow = text_to_image(**variant)
    seconds, pictures = [], []
    with bw.Cluster(executors=1) as cluster:
        for case in todo:
            result = cluster.run(workflow, prompt=say(case.what), seed=case.seed)
            seconds.append(result.seconds)
            pictures.append(np.asarray(result.image))
            print(f"\r{len(pictures)} of {len(todo)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    right = sum(judge(case.what, picture).all_right for case, picture in zip(todo, pictures, strict=True))
    nbytes = sum(model.weight_bytes for model in workflow.plan.models)
    return Run(nbytes, seconds[0], median(seconds[1:]), np.stack(pictures), right)


def distance_db(pictures: np.ndarray, reference: np.ndarray) -> float:
    error = float(np.mean((pictures.astype(float) - reference.astype(float)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def row(name: str, found: Run, reference: Run) -> dict[str, Any]:
    """The figures of one variant, JSON-able."""
    total = len(found.pictures)
    low, high = wilson(found.right, total)
    apart_db = distance_db(found.pictures, reference.pictures)
    return {
        "variant": name,
        "megabytes": round(found.nbytes / 1e6, 2),
        "first_s": round(found.first_s, 2),
        "latency_ms": round(found.latency_s * 1e3, 1),
        "latency_ratio": round(found.latency_s / reference.latency_s, 2),
        "psnr_db": None if math.isinf(apart_db) else round(apart_db, 1),
        "adherence": round(found.right / total, 4),
        "interval": [round(low, 4), round(high, 4)],
    }


def show(rows: list[dict[str, Any]]) -> str:
    """The figures as a table in markdown."""
    lines = [
        "| variant | weights, MB | first request, s | latency, of fp32's | distance to fp32, dB | adherence |",
        "| --- | --: | --: | --: | --: | --- |",
    ]
    for each in rows:
        apart = "same" if each["psnr_db"] is None else each["psnr_db"]
        low, high = each["interval"]
        figures = (each["megabytes"], each["first_s"], each["latency_ratio"], apart)
        share = f"{each['adherence']:.1%} ({low:.1%} to {high:.1%})"
        lines.append(f"| {each['variant']} | {' | '.join(map(str, figures))} | {share} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=EVERY, help="only every n-th caption")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="fp32 is always run")
    given = parser.parse_args()
    todo = cases(seeds=1, only=given.every)
    reference = run({}, todo)
    runs = {name: reference if name == "fp32" else run(VARIANTS[name], todo) for name in given.variants}
    rows = [row(name, found, reference) for name, found in runs.items()]
    print(show(rows))
    emit("system/precision", todo[0].seed, {"pictures": len(todo), "rows": rows})


if __name__ == "__main__":
    main()
