"""How often the starter model paints what its caption says.

256 captions (64 of one thing, 96 of two things in trained combinations, 96 in combinations held out from training)
times three sampling seeds (index, index + 1000, index + 2000), painted by the stock Diffusers pipeline with the
shipped default settings and judged by `detect`, which was frozen before training.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from brickwork.starter.detect import Verdict, judge
from brickwork.starter.scenes import render
from brickwork.starter.words import (
    COLOURS,
    SHAPES,
    Description,
    Thing,
    is_held_out,
    normal_form,
    pairs,
    say,
    singles,
)

if TYPE_CHECKING:
    from diffusers import StableDiffusion3Pipeline

SEED_STEP = 1000
BATCH = 32
COUNTS = {"single": 64, "trained pair": 96, "held-out pair": 96}


@dataclass(frozen=True)
class Case:
    """One picture to paint: what it must show, which group it counts for, its sampling seed."""

    what: Description
    group: str
    seed: int


def cases(seeds: int = 3, only: int | None = None) -> list[Case]:
    """The evaluation's captions in a fixed order, once for each sampling seed; `only` keeps every n-th for a glance."""
    rng = random.Random("evaluation")
    alone = list(singles())
    held_out = [what for what in pairs() if is_held_out(what)]
    trained = [what for what in pairs() if not is_held_out(what)]
    chosen = [(alone[index % len(alone)], "single") for index in range(COUNTS["single"])]
    chosen += [(what, "trained pair") for what in rng.sample(trained, COUNTS["trained pair"])]
    chosen += [(what, "held-out pair") for what in rng.sample(held_out, COUNTS["held-out pair"])]
    numbered = list(enumerate(chosen))[:: only or 1]
    return [Case(what, group, index + SEED_STEP * turn) for turn in range(seeds) for index, (what, group) in numbered]


def paint(pipeline: StableDiffusion3Pipeline, todo: list[Case], steps: int, guidance: float) -> list[np.ndarray]:
    """Pictures uint8 [64, 64, 3] of the stock pipeline, in batches, each with its own generator."""
    import torch

    pictures: list[np.ndarray] = []
    for start in range(0, len(todo), BATCH):
        some = todo[start : start + BATCH]
        answer = pipeline(
            [say(case.what) for case in some],
            num_inference_steps=steps,
            guidance_scale=guidance,
            height=64,
            width=64,
            max_sequence_length=pipeline.tokenizer_3.model_max_length,
            output_type="np",
            generator=[torch.Generator().manual_seed(case.seed) for case in some],
        )
        pictures += list(np.round(answer.images * 255).astype(np.uint8))
        print(f"\rpainted {len(pictures)} of {len(todo)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return pictures


def wilson(right: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a rate."""
    if total == 0:
        return 0.0, 1.0
    rate, square = right / total, z * z / total
    middle = (rate + square / 2) / (1 + square)
    half = z * math.sqrt(rate * (1 - rate) / total + square / (4 * total)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def score(verdicts: list[Verdict]) -> dict[str, Any]:
    """Rates of the three claims; the interval is that of the last."""
    total = len(verdicts)
    right = sum(verdict.all_right for verdict in verdicts)
    low, high = wilson(right, total)
    return {
        "pictures": total,
        "colours": round(sum(v.colours for v in verdicts) / total, 4),
        "shapes": round(sum(v.shapes for v in verdicts) / total, 4),
        "all_right": round(right / total, 4),
        "interval": [round(low, 4), round(high, 4)],
    }


def summarise(todo: list[Case], verdicts: list[Verdict]) -> dict[str, Any]:
    """Scores of everything, of each group, and of each sampling seed."""
    both = list(zip(todo, verdicts, strict=True))
    report: dict[str, Any] = {"all": score(verdicts)}
    for group in COUNTS:
        report[group] = score([verdict for case, verdict in both if case.group == group])
    for turn in sorted({case.seed // SEED_STEP for case in todo}):
        own = [verdict for case, verdict in both if case.seed // SEED_STEP == turn]
        report[f"seed index + {turn * SEED_STEP}"] = score(own)
    report["wrong"] = [f"{say(case.what)} (seed {case.seed})" for case, verdict in both if not verdict.all_right]
    return report


def judge_of_the_judge(count: int = 500) -> dict[str, float]:
    """The detector on drawn scenes: share right with the true caption, share accepted with one word changed."""
    rng = random.Random("judge")
    whats = rng.choices([*singles(), *pairs()], k=count)
    drawn = [(what, render(what, rng)) for what in whats]
    right = sum(judge(what, picture).all_right for what, picture in drawn)
    fooled = sum(judge(mismatch(what, rng), picture).all_right for what, picture in drawn)
    return {"ground_truth_right": right / count, "mismatch_accepted": fooled / count, "scenes": count}


def mismatch(what: Description, rng: random.Random) -> Description:
    """Another meaning, one word away: a colour, a shape or the relation."""
    while True:
        things = list(what.things)
        index = rng.randrange(len(things))
        thing, relation = things[index], what.relation
        change = rng.choice(("colour", "shape", "relation"))
        if change == "colour":
            things[index] = Thing(rng.choice(COLOURS), thing.shape, thing.size)
        elif change == "shape":
            things[index] = Thing(thing.colour, rng.choice(SHAPES), thing.size)
        elif relation:
            relation = rng.choice(("above", "below", "left of", "right of"))
        other = Description(tuple(things), relation, what.background)
        if normal_form(other) != normal_form(what):
            return other


def show(report: dict[str, Any]) -> str:
    """The report as a table."""
    lines = [f"{'':22}{'pictures':>9}{'colours':>9}{'+shapes':>9}{'all right':>11}   95 % interval"]
    for name, row in report["adherence"].items():
        if name != "wrong":
            low, high = row["interval"]
            lines.append(
                f"{name:22}{row['pictures']:9}{row['colours']:9.1%}{row['shapes']:9.1%}"
                f"{row['all_right']:11.1%}   {low:.1%} to {high:.1%}"
            )
    judged = report["detector"]
    lines.append(
        f"detector on {judged['scenes']:.0f} drawn scenes: {judged['ground_truth_right']:.1%} right, "
        f"{judged['mismatch_accepted']:.1%} of mismatched captions accepted"
    )
    return "\n".join(lines)


def save_grid(pictures: list[np.ndarray], todo: list[Case], path: Path, columns: int = 16) -> None:
    """The first sampling seed's pictures, row by row in caption order, at twice their size."""
    from PIL import Image

    first = [picture for picture, case in zip(pictures, todo, strict=True) if case.seed < SEED_STEP]
    first += [np.full_like(first[0], 255)] * (-len(first) % columns)
    rows = [np.concatenate(first[at : at + columns], axis=1) for at in range(0, len(first), columns)]
    grid = np.concatenate(rows).repeat(2, axis=0).repeat(2, axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grid).save(path)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m brickwork.starter.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=Path, help="a Diffusers directory (default: the shipped model)")
    parser.add_argument("--grid", type=Path, help="write the first seed's pictures to this PNG")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--steps", type=int, help="instead of the model's default")
    parser.add_argument("--guidance", type=float, help="instead of the model's default")
    parser.add_argument("--every", type=int, help="only every n-th caption, for a glance")
    parser.add_argument("--seeds", type=int, default=3, help="sampling seeds a caption (default 3)")
    return parser


def main() -> int:
    args = arguments().parse_args()
    from brickwork.starter.quiet import quiet

    quiet()
    from brickwork.starter import export

    folder = args.model or export.SHIPPED
    defaults = json.loads((folder / "brickwork.json").read_text())["defaults"]
    steps, guidance = args.steps or defaults["steps"], args.guidance or defaults["guidance"]
    todo = cases(args.seeds, args.every)
    pictures = paint(export.load(folder), todo, steps, guidance)
    verdicts = [judge(case.what, picture) for case, picture in zip(todo, pictures, strict=True)]
    report = {
        "steps": steps,
        "guidance": guidance,
        "adherence": summarise(todo, verdicts),
        "detector": judge_of_the_judge(),
    }
    print(json.dumps(report, indent=1) if args.json else show(report))
    if args.grid:
        save_grid(pictures, todo, args.grid)
    return 0


if __name__ == "__main__":
    sys.exit(main())
