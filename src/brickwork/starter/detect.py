"""What a picture shows: the judge of the starter model, numpy only.

It was written and tested on drawn scenes and frozen before the model was trained; it knows nothing about
generated pictures. How it sees: the background is the median of the border; what differs from it falls
into connected blobs; a blob's colour is the median of its strongest pixels; its shape is the one of the
three ideal shapes, placed by the blob's own area and centre of mass, that overlaps it best.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from brickwork.starter.scenes import EXTENT, RGB, coverage
from brickwork.starter.words import BACKGROUNDS, SHAPES, Description, Thing, normal_form

CONTRAST = 0.15  # a pixel belongs to a blob when a channel differs this much from the background (0..1)
SPECK_PIXELS = 12  # smaller blobs are dirt, not things
COLOUR_REACH = 0.25  # farthest Euclidean RGB distance (channels 0..1) at which a named colour is accepted
MIN_OVERLAP = 0.75  # least intersection over union with an ideal shape
SMALL_BELOW, LARGE_ABOVE = 7.25, 11.5  # radius in pixels: the middles of the gaps in scenes.RADIUS

_AREA = {"circle": np.pi, "square": (2 * EXTENT["square"][0]) ** 2, "triangle": 2 * EXTENT["triangle"][0]}
_MASS_BELOW_MIDDLE = {"circle": 0.0, "square": 0.0, "triangle": 1 / 3}  # centre of mass, in radii


@dataclass(frozen=True)
class Seen:
    """One blob. `colour` or `shape` is "" when none fits; x, y (box middle), radius in pixels."""

    colour: str
    shape: str
    x: float
    y: float
    radius: float
    overlap: float


@dataclass(frozen=True)
class Verdict:
    """How far a picture agrees with a caption; each claim includes the ones before it."""

    colours: bool
    shapes: bool
    all_right: bool


def look(picture: np.ndarray) -> tuple[str, list[Seen]]:
    """Find the background ("light", "dark" or "") and the things in a uint8 [64, 64, 3] picture."""
    pixels = picture.astype(np.float32) / 255
    rim = np.concatenate(
        [
            pixels[:2].reshape(-1, 3),
            pixels[-2:].reshape(-1, 3),
            pixels[:, :2].reshape(-1, 3),
            pixels[:, -2:].reshape(-1, 3),
        ]
    )
    ground = np.median(rim, axis=0)
    labels = _blobs(np.abs(pixels - ground).max(axis=2) > CONTRAST)
    sizes = np.bincount(labels.ravel())
    things = [label for label in range(1, len(sizes)) if sizes[label] >= SPECK_PIXELS]
    found = [_see(pixels, ground, labels, label) for label in things]
    level = float(ground.mean())
    return ("light" if level > 0.7 else "dark" if level < 0.35 else ""), found


def _blobs(mask: np.ndarray) -> np.ndarray:
    """Number the 8-connected regions of a bool [H, W] mask; int [H, W], 0 outside."""
    labels = np.zeros(mask.shape, np.int64)
    todo = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    count = 0
    while todo:
        count += 1
        edge = [min(todo)]
        todo.discard(edge[0])
        while edge:
            y, x = edge.pop()
            labels[y, x] = count
            near = {(y + j, x + i) for j in (-1, 0, 1) for i in (-1, 0, 1)} & todo
            todo -= near
            edge.extend(near)
    return labels


def _see(pixels: np.ndarray, ground: np.ndarray, labels: np.ndarray, label: int) -> Seen:
    own = labels == label
    difference = np.abs(pixels - ground).max(axis=2) * own
    rgb = np.median(pixels[difference >= 0.8 * difference.max()], axis=0)
    tint = rgb - ground
    cover = np.clip((pixels - ground) @ tint / (tint @ tint), 0.0, 1.0) * _grown(own, labels)
    shape, x, y, radius, overlap = _fit(cover)
    return Seen(_name(rgb), shape if overlap >= MIN_OVERLAP else "", x, y, radius, overlap)


def _grown(own: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The blob and its faint rim: one pixel more, where no other blob is."""
    padded = np.pad(own, 1)
    side_y, side_x = own.shape
    near = np.zeros_like(own)
    for j in range(3):
        for i in range(3):
            near |= padded[j : j + side_y, i : i + side_x]
    return near & (own | (labels == 0))


def _name(rgb: np.ndarray) -> str:
    gaps = {colour: float(np.linalg.norm(rgb - np.asarray(known) / 255)) for colour, known in RGB.items()}
    best = min(gaps, key=lambda colour: gaps[colour])
    return best if gaps[best] <= COLOUR_REACH else ""


def _fit(cover: np.ndarray) -> tuple[str, float, float, float, float]:
    """The ideal shape that overlaps `cover` [H, W] best: shape, x, y, radius, intersection over union."""
    area = float(cover.sum())
    rows, columns = np.mgrid[0 : cover.shape[0], 0 : cover.shape[1]] + 0.5
    mass_x, mass_y = float((cover * columns).sum() / area), float((cover * rows).sum() / area)
    fits = []
    for shape in SHAPES:
        radius = float(np.sqrt(area / _AREA[shape]))
        y = mass_y - _MASS_BELOW_MIDDLE[shape] * radius
        ideal = coverage(shape, mass_x, y, radius)
        overlap = float(np.minimum(ideal, cover).sum() / np.maximum(ideal, cover).sum())
        fits.append((shape, mass_x, y, radius, overlap))
    return max(fits, key=lambda fit: fit[4])


def judge(what: Description, picture: np.ndarray) -> Verdict:
    """Does the picture show exactly what the description says: these things, no others, so related?"""
    ground, found = look(picture)
    wanted = normal_form(what)
    if len(found) != len(wanted.things):
        return Verdict(False, False, False)
    orders = [list(order) for order in permutations(found)]
    colours = any(_agree(wanted.things, order, ("colour",)) for order in orders)
    shapes = any(_agree(wanted.things, order, ("colour", "shape")) for order in orders)
    whole = any(
        _agree(wanted.things, order, ("colour", "shape"))
        and _sizes_fit(wanted.things, order)
        and _related(wanted.relation, order)
        for order in orders
    )
    ground_fits = not wanted.background or ground == wanted.background
    return Verdict(colours, shapes, whole and ground_fits and ground in BACKGROUNDS)


def _agree(things: tuple[Thing, ...], found: list[Seen], fields: tuple[str, ...]) -> bool:
    both = list(zip(things, found, strict=True))
    return all(getattr(thing, name) == getattr(seen, name) for thing, seen in both for name in fields)


def _sizes_fit(things: tuple[Thing, ...], found: list[Seen]) -> bool:
    both = list(zip(things, found, strict=True))
    small_fit = all(seen.radius < SMALL_BELOW for thing, seen in both if thing.size == "small")
    return small_fit and all(seen.radius > LARGE_ABOVE for thing, seen in both if thing.size == "large")


def _related(relation: str, found: list[Seen]) -> bool:
    """Is found[0] "above" or "left of" found[1], more than it is anything else?"""
    if not relation:
        return True
    right, down = found[1].x - found[0].x, found[1].y - found[0].y
    return down > abs(right) if relation == "above" else right > abs(down)
