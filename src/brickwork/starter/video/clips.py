"""What the image-to-video model learns from: one coloured shape that moves straight over an even background.

A clip is uint8 [8, 64, 64, 3] RGB. A thing moves 3 pixels a frame; one that reaches the frame's margin stays there.

    caption := [("a" | "an") [size] colour shape] "moves" direction
    direction := "left" | "right" | "up" | "down"
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from brickwork.starter.scenes import EXTENT, MARGIN, PLAIN_GREY, RADII, RGB, SIDE, Placed, draw
from brickwork.starter.words import COLOURS, SHAPES, SIZES, Description, Thing
from brickwork.starter.words import VOCABULARY as PICTURE_WORDS
from brickwork.starter.words import say as say_picture

FRAMES = 8
SPEED = 3.0
"""Pixels a frame."""
STEP = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
VOCABULARY = (*PICTURE_WORDS, "moves", "up", "down")
MAX_WORDS = 8  # "a small red circle moves left", and some room


@dataclass(frozen=True)
class Clip:
    """One thing, where it starts (middle of its box, pixels), and where it goes."""

    thing: Thing
    x: float
    y: float
    radius: float
    direction: str
    background: str = "light"

    @property
    def half(self) -> tuple[float, float]:
        """Half sides of the bounding box, pixels."""
        width, height = EXTENT[self.thing.shape]
        return width * self.radius, height * self.radius

    def at(self, frame: int) -> tuple[float, float]:
        """Where the middle of its box is in a frame."""
        (dx, dy), (half_x, half_y) = STEP[self.direction], self.half
        return (_kept(self.x + dx * SPEED * frame, half_x), _kept(self.y + dy * SPEED * frame, half_y))

    @property
    def has_room(self) -> bool:
        """True when it never meets the margin."""
        (dx, dy), (x, y) = STEP[self.direction], self.at(FRAMES - 1)
        way = SPEED * (FRAMES - 1)
        return (x, y) == (self.x + dx * way, self.y + dy * way)


def _kept(place: float, half: float) -> float:
    return min(max(place, MARGIN + half), SIDE - MARGIN - half)


def say(clip: Clip, name: bool) -> str:
    """The caption, with or without the thing's name."""
    thing = f"{say_picture(Description((clip.thing,)))} " if name else ""
    return f"{thing}moves {clip.direction}"


def render(clip: Clip) -> np.ndarray:
    """The clip's frames, uint8 [8, 64, 64, 3]."""
    red, green, blue = RGB[clip.thing.colour]
    rgb = (red / 255, green / 255, blue / 255)
    placed = [Placed(rgb, clip.thing.shape, *clip.at(frame), clip.radius) for frame in range(FRAMES)]
    return np.stack([draw([one], PLAIN_GREY[clip.background]) for one in placed])


def draw_clip(rng: random.Random, with_room: bool) -> Clip:
    """A clip drawn at random; `with_room` only such that never meet the margin."""
    while True:
        thing = Thing(rng.choice(COLOURS), rng.choice(SHAPES), rng.choice(("", "", "", *SIZES)))
        radius = rng.choice(RADII[thing.size])
        width, height = EXTENT[thing.shape]
        x = rng.uniform(MARGIN + width * radius, SIDE - MARGIN - width * radius)
        y = rng.uniform(MARGIN + height * radius, SIDE - MARGIN - height * radius)
        background = "dark" if rng.random() < 0.1 else "light"
        clip = Clip(thing, x, y, radius, rng.choice(tuple(STEP)), background)
        if clip.has_room or not with_room:
            return clip
