"""Goal: the judge is honest - right on every drawn scene, and not talked into a caption that is wrong.

Method: draw scenes from captions, judge them with their own caption and with captions that differ in one
word or in the relation. No generated picture is used anywhere.
"""

import random
from dataclasses import replace

import numpy as np

from brickwork.starter.detect import judge
from brickwork.starter.evaluate import mismatch
from brickwork.starter.scenes import render
from brickwork.starter.words import BACKGROUNDS, draw_training, pairs, singles


def test_every_plain_caption_is_seen_right() -> None:
    rng = random.Random(0)
    wrong = [what for what in [*singles(), *pairs()] if not judge(what, render(what, rng)).all_right]
    print(f"ground truth: {len(wrong)} wrong of {24 + 2208}")
    assert not wrong


def test_sizes_and_backgrounds_are_seen_right() -> None:
    rng = random.Random(1)
    drawn = [draw_training(rng, modified_share=1.0) for _ in range(400)]
    assert all(judge(what, render(what, rng)).all_right for what in drawn)


def test_mismatched_captions_are_refused() -> None:
    rng = random.Random(2)
    drawn = [draw_training(rng, modified_share=0.0) for _ in range(1000)]
    accepted = sum(judge(mismatch(what, rng), render(what, rng)).all_right for what in drawn)
    print(f"mismatched captions accepted: {accepted} of {len(drawn)}")
    assert accepted <= 0.02 * len(drawn)


def test_a_wrong_size_or_background_is_refused() -> None:
    rng = random.Random(3)
    for what in singles():
        small = replace(what, things=(replace(what.things[0], size="small"),))
        large = replace(what, things=(replace(what.things[0], size="large"),))
        assert not judge(large, render(small, rng)).all_right
        assert not judge(small, render(large, rng)).all_right
        for ground, other in (BACKGROUNDS, BACKGROUNDS[::-1]):
            picture = render(replace(what, background=ground), rng)
            assert not judge(replace(what, background=other), picture).all_right


def test_nothing_noise_and_too_much_are_refused() -> None:
    single, pair = next(singles()), next(pairs())
    empty = np.full((64, 64, 3), 235, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    assert not judge(single, empty).all_right
    assert not judge(single, noise).all_right
    assert not judge(single, render(pair, random.Random(0))).all_right
