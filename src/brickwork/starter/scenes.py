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
    "red": (215, 30, 40),
    "green": (40, 160, 60),
    "blue": (40, 75, 220),
    "yellow": (245, 220, 50),
    "orange": (250, 125, 20),
    "purple": (130, 45, 170),
    "pink": (245, 130, 195),
    "cyan": (50, 195, 215),
}
#: Radius range in pixels for each size word; the gaps between the ranges are what a size test can stand on.
RADIUS = {"small": (5.0, 6.5), "": (8.0, 11.0), "large": (12.0, 13.0)}
#: The radii really drawn for captions, all within RADIUS, and the raster their centres stand on (pixels).
RADII = {"small": (6.0,), "": (8.5, 10.0), "large": (12.0,)}
RASTER = 4
#: Half width and half height of each shape's bounding box, in radii. Areas: pi, 3.14, 2.2 square radii.
EXTENT = {"circle": (1.0, 1.0), "square": (0.886, 0.886), "triangle": (1.1, 1.0)}
GREY = {"light": (0.90, 0.97), "dark": (0.08, 0.16)}  # what a VAE sees
PLAIN_GREY = {"light": 0.94, "dark": 0.12}  # what a caption gets
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
    """Choose sizes and places that make `what` true, with at least 4 pixels between two things.

    Things stand anywhere on a 4-pixel raster, in few radii: free enough for natural pictures, and few enough
    cases for a small model to draw each of them sharply. (With continuous places and sizes the same model, after
    1200 steps, had the colours right in nine pictures of ten and the shapes in two.)
    """
    radii = [rng.choice(RADII[thing.size]) for thing in what.things]
    half = [(EXTENT[t.shape][0] * r, EXTENT[t.shape][1] * r) for t, r in zip(what.things, radii, strict=True)]
    spots = _place_pair(what.relation, half, rng) if what.relation else [_anywhere(half[0], rng)]
    return [_placed(*item) for item in zip(what.things, spots, radii, strict=True)]


def _anywhere(half: tuple[float, float], rng: random.Random) -> tuple[float, float]:
    """A centre for a box of these half sides."""
    return (rng.choice(_raster(half[0])), rng.choice(_raster(half[1])))


def _raster(half: float) -> range:
    """Raster positions at which a box of this half side stays inside the frame."""
    first = -(-(MARGIN + half) // RASTER) * RASTER
    return range(int(first), int(SIDE - MARGIN - half) + 1, RASTER)


def _placed(thing: Thing, spot: tuple[float, float], radius: float) -> Placed:
    return Placed(_unit(RGB[thing.colour]), thing.shape, *spot, radius)


def _unit(rgb: tuple[int, int, int]) -> tuple[float, float, float]:
    return (rgb[0] / 255, rgb[1] / 255, rgb[2] / 255)


def _place_pair(relation: str, half: list[tuple[float, float]], rng: random.Random) -> list[tuple[float, float]]:
    """Centres of two boxes: one after the other along the relation's axis, nearly level across it."""
    along = 1 if relation in ("above", "below") else 0
    first, second = (0, 1) if relation in ("above", "left of") else (1, 0)
    apart = half[0][along] + half[1][along] + 4
    ways = [
        (low, high)
        for low in _raster(half[first][along])
        for high in _raster(half[second][along])
        if apart <= high - low <= apart + 10
    ]
    at = dict(zip((first, second), rng.choice(ways), strict=True))
    level = rng.choice((24, 28, 32, 32, 36, 40))
    spots = []
    for index in (0, 1):
        across = level + rng.choice((0, 0, 0, 4)) * (1 if level < 32 else -1)
        spots.append((at[index], across) if along == 0 else (across, at[index]))
    return [(float(x), float(y)) for x, y in spots]


def render(what: Description, rng: random.Random) -> np.ndarray:
    """One picture that shows `what`; a background that is not said is light."""
    return draw(place(what, rng), PLAIN_GREY[what.background or "light"])


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
