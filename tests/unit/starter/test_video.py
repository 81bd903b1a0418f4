"""Goal: the clips that the video model learns from are what their captions say; the judge knows right from wrong."""

import random
from dataclasses import replace

import numpy as np
import pytest

from brickwork.starter.video.clips import FRAMES, STEP, VOCABULARY, draw_clip, render, say
from brickwork.starter.video.evaluate import CLIPS, cases
from brickwork.starter.video.judge import judge, psnr

OPPOSITE = {"left": "right", "right": "left", "up": "down", "down": "up"}


def test_the_evaluation_asks_what_it_says() -> None:
    todo = cases()
    assert len(todo) == CLIPS and all(clip.has_room for clip in todo)
    assert {clip.direction for clip in todo} == set(STEP)
    assert all(set(say(clip, name=True).split()) <= set(VOCABULARY) for clip in todo)


def test_the_judge_on_drawn_clips() -> None:
    """Right with the true clip; not fooled by a clip that stands still, goes back, or changes its thing."""
    for clip in cases():
        frames = render(clip)
        verdict = judge(clip, frames)
        assert verdict.moved and verdict.kept and verdict.arrived
        still = np.repeat(frames[:1], FRAMES, axis=0)
        assert not judge(clip, still).moved and not judge(clip, still).arrived
        assert not judge(replace(clip, direction=OPPOSITE[clip.direction]), frames).moved
        other = render(replace(clip, thing=replace(clip.thing, colour="red" if clip.thing.colour != "red" else "blue")))
        assert not judge(clip, np.concatenate([frames[:1], other[1:]])).kept


def test_a_thing_stops_at_the_margin() -> None:
    rng = random.Random(0)
    for clip in (draw_clip(rng, with_room=False) for _ in range(200)):
        for frame in range(FRAMES):
            (x, y), (half_x, half_y) = clip.at(frame), clip.half
            assert half_x < x < 64 - half_x and half_y < y < 64 - half_y


@pytest.mark.parametrize("change, low, high", [(0, 120, 200), (1, 48, 49)])
def test_psnr(change: int, low: float, high: float) -> None:
    frames = np.full((2, 4, 4, 3), 100, np.uint8)
    assert low < psnr(frames + change, frames) < high
