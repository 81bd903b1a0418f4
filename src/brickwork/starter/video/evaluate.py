"""How often the image-to-video model moves a thing the way it was asked to.

48 clips that training never drew, with room to move: every colour six times, every direction twelve times, half of
the captions with the thing's name; made by the stock Diffusers pipeline with the shipped defaults and judged by
`judge`, which was written before training.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from brickwork.starter.evaluate import wilson
from brickwork.starter.video.clips import FRAMES, STEP, Clip, draw_clip, render, say
from brickwork.starter.video.judge import Verdict, judge, psnr
from brickwork.starter.words import COLOURS

CLIPS = 48


def cases() -> list[Clip]:
    """The evaluation's clips in a fixed order, on a light background."""
    rng = random.Random("video evaluation")
    return [_case(rng, COLOURS[index % 8], tuple(STEP)[index // 8 % 4]) for index in range(CLIPS)]


def _case(rng: random.Random, colour: str, direction: str) -> Clip:
    while True:
        clip = draw_clip(rng, with_room=False)
        thing = replace(clip.thing, colour=colour)
        clip = replace(clip, thing=thing, direction=direction, background="light")
        if clip.has_room:
            return clip


def make(folder: Path, todo: list[Clip], steps: int, guidance: float) -> list[np.ndarray]:
    """Clips uint8 [8, 64, 64, 3] of the stock pipeline, each with its own generator."""
    import torch
    from diffusers.utils import logging
    from PIL import Image

    from brickwork.starter.video.export import load

    logging.set_verbosity_error()  # it warns of a rounding that is meant
    pipeline = load(folder)
    made = []
    for index, clip in enumerate(todo):
        frames = pipeline(
            image=Image.fromarray(render(clip)[0]),
            prompt=say(clip, name=index % 2 == 0),
            height=64,
            width=64,
            num_frames=FRAMES - 1,  # the stock pipeline asks for a multiple of its temporal factor, 1, and one more
            num_inference_steps=steps,
            guidance_scale=guidance,
            max_sequence_length=pipeline.tokenizer.model_max_length,
            generator=torch.Generator().manual_seed(index),
            output_type="np",
        ).frames[0]
        made.append(np.round(frames * 255).astype(np.uint8))
        print(f"\rmade {index + 1} of {len(todo)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return made


def summarise(todo: list[Clip], made: list[np.ndarray]) -> dict[str, Any]:
    """Rates of the judge's three claims, with Wilson's 95 % interval of the first."""
    verdicts = [judge(clip, frames) for clip, frames in zip(todo, made, strict=True)]
    low, high = wilson(sum(verdict.moved for verdict in verdicts), len(verdicts))
    truth = [judge(clip, render(clip)) for clip in todo]
    return {
        "clips": len(verdicts),
        "moved": _share(verdicts, "moved"),
        "interval": [round(low, 4), round(high, 4)],
        "kept": _share(verdicts, "kept"),
        "arrived": _share(verdicts, "arrived"),
        "psnr_db": round(float(np.mean([psnr(m, render(c)) for c, m in zip(todo, made, strict=True)])), 2),
        "judge_on_drawn_clips": {name: _share(truth, name) for name in ("moved", "kept", "arrived")},
    }


def _share(verdicts: list[Verdict], name: str) -> float:
    return round(sum(getattr(verdict, name) for verdict in verdicts) / len(verdicts), 4)


def save_grid(made: list[np.ndarray], path: Path) -> None:
    """Each clip a row of frames, four clips a line."""
    from PIL import Image

    rows = [np.concatenate(frames, axis=1) for frames in made]
    lines = [np.concatenate(rows[at : at + 4], axis=1) for at in range(0, len(rows) - len(rows) % 4, 4)]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(lines)).save(path)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m brickwork.starter.video.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=Path, help="a Diffusers directory (default: the shipped model)")
    parser.add_argument("--grid", type=Path, help="write the clips' frames to this PNG")
    parser.add_argument("--steps", type=int, help="instead of the model's default")
    parser.add_argument("--guidance", type=float, help="instead of the model's default")
    return parser


def main() -> int:
    args = arguments().parse_args()
    from brickwork.starter.quiet import quiet

    quiet()
    from brickwork.starter.video.export import SHIPPED

    folder = args.model or SHIPPED
    defaults = json.loads((folder / "brickwork.json").read_text())["defaults"]
    steps, guidance = args.steps or defaults["steps"], args.guidance or defaults["guidance"]
    todo = cases()
    made = make(folder, todo, steps, guidance)
    print(json.dumps({"steps": steps, "guidance": guidance} | summarise(todo, made), indent=1))
    if args.grid:
        save_grid(made, args.grid)
    return 0


if __name__ == "__main__":
    sys.exit(main())
