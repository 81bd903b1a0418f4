"""Goal: a drawn scene shows its description, lies inside the frame, and follows from its seed alone."""

import random

import numpy as np

from brickwork.starter.scenes import EXTENT, KINDS, SIDE, coverage, place, render, render_kind
from brickwork.starter.words import draw_training, parse


def test_same_seed_same_picture() -> None:
    for kind in KINDS:
        first, second = (render_kind(kind, random.Random(3)) for _ in range(2))
        assert first.shape == (SIDE, SIDE, 3)
        assert first.dtype == np.uint8
        assert np.array_equal(first, second)


def test_things_lie_inside_and_apart() -> None:
    rng = random.Random(4)
    for _ in range(1000):
        boxes = []
        for one in place(draw_training(rng, modified_share=0.5), rng):
            wide, high = (share * one.radius for share in EXTENT[one.shape])
            boxes.append((one.x - wide, one.y - high, one.x + wide, one.y + high))
            assert min(boxes[-1]) >= 0.5
            assert max(boxes[-1]) <= SIDE - 0.5
        if len(boxes) == 2:
            (a, b, c, d), (e, f, g, h) = boxes
            assert max(e - c, a - g, f - d, b - h) >= 3.9


def test_coverage_is_the_area() -> None:
    for shape, area in (("circle", np.pi), ("square", 3.14), ("triangle", 2.2)):
        assert abs(coverage(shape, 32.3, 31.6, 12.0).sum() / (area * 144) - 1) < 0.02


def test_a_background_word_is_obeyed() -> None:
    dark = render(parse("a red circle on a dark background"), random.Random(0))
    light = render(parse("a red circle"), random.Random(0))
    assert dark[0, 0].max() < 60 < 200 < light[0, 0].min()


def test_edge_maps_are_white_lines_on_black() -> None:
    picture = render_kind("edges", random.Random(5))
    assert np.array_equal(picture[..., 0], picture[..., 2])
    assert np.median(picture) == 0
    assert picture.max() > 200
