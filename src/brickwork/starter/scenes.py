"""How a description looks: the procedural pictures the starter model learns from.

A picture is uint8 [64, 64, 3] RGB. Shapes are drawn from signed distances (pixels, negative inside): the
share of a pixel that a shape covers is clip(0.5 - distance, 0, 1), which is what heavy supersampling would
give and costs 0.1 ms a shape. `x`, `y` are the middle of a shape's bounding box; EXTENT tells its half sides
in units of `radius`.

`KINDS` are the picture families the VAE must carry, because later features draw them: plain captions, dark
backgrounds, hollow shapes (LoRA), edge maps (ControlNet), and anything anywhere (video frames).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import numpy as np

from brickwork.starter.words import COLOURS, SHAPES, Description, Thing, draw_training

SIDE = 64
RGB = {
    "red": (215, 30, 40), "green": (40, 160, 60), "blue": (40, 75, 220), "yellow": (245, 220, 50),
    "orange": (250, 125, 20), "purple": (130, 45, 170), "pink": (245, 130, 195), "cyan": (50, 195, 215),
}
#: Radius range in pixels for each size word; the gaps between the ranges are what a size test can stand on.
RADIUS = {"small": (5.0, 6.5), "": (8.0, 11.0), "large": (12.0, 13.0)}
#: Half width and half height of each shape's bounding box, in radii. Areas: pi, 3.14, 2.2 square radii.
EXTENT = {"circle": (1.0, 1.0), "square": (0.886, 0.886), "triangle": (1.1, 1.0)}
GREY = {"light": (0.90, 0.97), "dark": (0.08, 0.16)}
MARGIN = 1.0
KINDS = ("plain", "dark", "hollow", "edges", "scatter")

_GRID = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) + 0.5


@dataclass(frozen=True)
class Placed:
    """One shape at its place: RGB 0..1; x, y, radius in pixels; `stroke` > 0 draws only an outline."""

    rgb: tuple[float, float, float]
    shape: str
    x: float
    y: float
    radius: float
    stroke: float = 0.0


def distance(shape: str, x: float, y: float, radius: float) -> np.ndarray:
    """Signed distance of every pixel centre to the shape's border, float32 [64, 64], pixels."""
    dx, dy = _GRID[1] - x, _GRID[0] - y
    if shape == "circle":
        return np.hypot(dx, dy) - radius
    if shape == "square":
        return np.maximum(np.abs(dx), np.abs(dy)) - EXTENT["square"][0] * radius
    half = EXTENT["triangle"][0]  # corners: (0, -r), (+-half r, +r)
    slant = (2.0 * np.abs(dx) - half * (dy + radius)) / np.hypot(2.0, half)
    return np.maximum(slant, dy - radius)


def coverage(shape: str, x: float, y: float, radius: float, stroke: float = 0.0) -> np.ndarray:
    """Share of each pixel the shape covers, float32 [64, 64] 0..1; a stroke is drawn inside the border."""
    gap = distance(shape, x, y, radius)
    if stroke:
        gap = np.abs(gap + stroke / 2) - stroke / 2
    return np.clip(0.5 - gap, 0.0, 1.0)


def draw(placed: list[Placed], grey: float) -> np.ndarray:
    """Paint shapes in order over an even grey (0..1); uint8 [64, 64, 3]."""
    picture = np.full((SIDE, SIDE, 3), grey, np.float32)
    for one in placed:
        cover = coverage(one.shape, one.x, one.y, one.radius, one.stroke)[..., None]
        picture += cover * (np.asarray(one.rgb, np.float32) - picture)
    return np.round(picture * 255).astype(np.uint8)


def place(what: Description, rng: random.Random) -> list[Placed]:
    """Choose sizes and places that make `what` true, with at least 4 pixels between two things."""
    radii = [rng.uniform(*RADIUS[thing.size]) for thing in what.things]
    half = [(EXTENT[t.shape][0] * r, EXTENT[t.shape][1] * r) for t, r in zip(what.things, radii, strict=True)]
    if not what.relation:
        spots = [(_within(half[0][0], rng), _within(half[0][1], rng))]
    else:
        spots = _place_pair(what.relation, half, rng)
    return [_placed(*item) for item in zip(what.things, spots, radii, strict=True)]


def _within(half: float, rng: random.Random) -> float:
    return rng.uniform(MARGIN + half, SIDE - MARGIN - half)


def _placed(thing: Thing, spot: tuple[float, float], radius: float) -> Placed:
    return Placed(_unit(RGB[thing.colour]), thing.shape, *spot, radius)


def _unit(rgb: tuple[int, int, int]) -> tuple[float, float, float]:
    return (rgb[0] / 255, rgb[1] / 255, rgb[2] / 255)


def _place_pair(
    relation: str, half: list[tuple[float, float]], rng: random.Random
) -> list[tuple[float, float]]:
    """Centres of two boxes: one after the other along the relation's axis, nearly level across it."""
    along = 1 if relation in ("above", "below") else 0
    order = (0, 1) if relation in ("above", "left of") else (1, 0)
    used = 2 * (half[0][along] + half[1][along])
    gap = rng.uniform(4.0, min(14.0, SIDE - 2 * MARGIN - used))
    at = rng.uniform(MARGIN, SIDE - MARGIN - used - gap)
    middle = SIDE / 2 + rng.uniform(-8, 8)
    spots: dict[int, tuple[float, float]] = {}
    for index in order:
        reach = half[index]
        lowest = MARGIN + reach[1 - along]
        across = min(max(middle + rng.uniform(-3, 3), lowest), SIDE - lowest)
        centre = at + reach[along]
        spots[index] = (centre, across) if along == 0 else (across, centre)
        at += 2 * reach[along] + gap
    return [spots[0], spots[1]]


def render(what: Description, rng: random.Random) -> np.ndarray:
    """One picture that shows `what`; a background that is not said is light."""
    return draw(place(what, rng), rng.uniform(*GREY[what.background or "light"]))


def render_kind(kind: str, rng: random.Random) -> np.ndarray:
    """One picture of a family in KINDS, for the VAE."""
    if kind == "edges":
        return _edge_map(rng)
    grey = rng.uniform(*GREY["dark" if kind == "dark" else "light"])
    if kind in ("plain", "dark"):
        return draw(place(draw_training(rng), rng), grey)
    if kind == "hollow":
        grey = rng.uniform(*GREY[rng.choice(("light", "light", "dark"))])
        placed = place(draw_training(rng), rng) if rng.random() < 0.6 else _scatter(rng)
        return draw([_hollow(one, rng) for one in placed], grey)
    return draw(_scatter(rng), rng.uniform(0.0, 1.0) if rng.random() < 0.3 else grey)


def _hollow(one: Placed, rng: random.Random) -> Placed:
    return replace(one, stroke=max(2.0, one.radius * rng.uniform(0.2, 0.45)))


def _scatter(rng: random.Random) -> list[Placed]:
    """One to three shapes of any size anywhere, even partly outside; some in colours without a name."""
    placed = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        rgb = _unit(RGB[rng.choice(COLOURS)])
        if rng.random() < 0.25:
            rgb = (rng.random(), rng.random(), rng.random())
        spot = (rng.uniform(2, SIDE - 2), rng.uniform(2, SIDE - 2))
        placed.append(Placed(rgb, rng.choice(SHAPES), *spot, rng.uniform(4.0, 22.0)))
    return placed


def _edge_map(rng: random.Random) -> np.ndarray:
    """White outlines, 1 to 2 pixels, on black: smooth, or hard like an edge detector's."""
    placed = place(draw_training(rng), rng) if rng.random() < 0.6 else _scatter(rng)
    width, hard = rng.uniform(1.0, 2.0), rng.random() < 0.5
    lines = np.zeros((SIDE, SIDE), np.float32)
    for one in placed:
        cover = np.clip(0.5 + width / 2 - np.abs(distance(one.shape, one.x, one.y, one.radius)), 0.0, 1.0)
        lines = np.maximum(lines, cover > 0.5 if hard else cover)
    return np.repeat(np.round(lines * 255).astype(np.uint8)[..., None], 3, axis=2)
