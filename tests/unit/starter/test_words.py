"""Goal: captions are read and said exactly, mistakes are named, and held-out combinations stay held out."""

import random
import subprocess
import sys

import pytest

from brickwork.starter.words import (
    MAX_WORDS,
    OPPOSITE,
    VOCABULARY,
    CaptionError,
    Description,
    Thing,
    draw_training,
    is_held_out,
    pairs,
    parse,
    say,
)


def test_what_is_said_is_read_back() -> None:
    rng = random.Random(0)
    for what in [*pairs(), *(draw_training(rng, modified_share=1.0) for _ in range(500))]:
        caption = say(what)
        assert parse(caption) == what
        assert set(caption.split()) <= set(VOCABULARY)
        assert len(caption.split()) <= MAX_WORDS


def test_the_longest_caption_is_read() -> None:
    what = parse("A small red circle left of a large blue square on a dark background")
    assert what == Description((Thing("red", "circle", "small"), Thing("blue", "square", "large")), "left of", "dark")


@pytest.mark.parametrize(
    ("caption", "named"),
    [
        ("", "the end"),
        ("a red", "the end"),
        ("a crimson circle", "'crimson'"),
        ("a red circle near", "'near'"),
        ("a red circle left a blue square", "'a'"),
        ("a red circle on a wet background", "'wet'"),
        ("red circle", "'red'"),
    ],
)
def test_a_mistake_is_named(caption: str, named: str) -> None:
    with pytest.raises(CaptionError, match=named):
        parse(caption)


def test_more_than_one_eighth_is_held_out_under_either_name() -> None:
    everything = list(pairs())
    assert sum(map(is_held_out, everything)) >= len(everything) / 8
    for what in everything:
        other_way = Description(what.things[::-1], OPPOSITE[what.relation])
        assert is_held_out(what) == is_held_out(other_way)


def test_training_never_draws_a_held_out_combination() -> None:
    rng = random.Random(1)
    assert not any(is_held_out(draw_training(rng, modified_share=0.5)) for _ in range(5000))


def test_words_scenes_and_judge_leave_torch_out() -> None:
    program = (
        "import brickwork.starter.words, brickwork.starter.scenes, brickwork.starter.detect, sys;"
        "import brickwork.starter.evaluate, brickwork.starter.train; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
