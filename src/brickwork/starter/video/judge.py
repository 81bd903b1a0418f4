"""What a clip shows: did the thing of the first frame move the way it was asked to, and stay itself?

It stands on `starter.detect`, which was frozen before any model was trained, and knows nothing of generated clips.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brickwork.starter.detect import Seen, look
from brickwork.starter.video.clips import FRAMES, STEP, Clip

MIN_WAY = 8.0  # pixels between first and last frame, along the asked direction, that count as motion
REACH = 4.0  # pixels around the true last place


@dataclass(frozen=True)
class Verdict:
    moved: bool  # in the asked direction, more than across it
    kept: bool  # one thing of the same colour and shape in the last frame
    arrived: bool  # within REACH of the true last place


def judge(clip: Clip, frames: np.ndarray) -> Verdict:
    """Compare frames uint8 [8, 64, 64, 3] with what was asked."""
    first, last = _main(frames[0]), _main(frames[-1])
    if first is None or last is None:
        return Verdict(False, False, False)
    (dx, dy), (right, down) = STEP[clip.direction], (last.x - first.x, last.y - first.y)
    along, across = right * dx + down * dy, right * dy + down * dx
    true_x, true_y = clip.at(FRAMES - 1)
    kept = (last.colour, last.shape) == (clip.thing.colour, clip.thing.shape) and len(look(frames[-1])[1]) == 1
    return Verdict(
        moved=along >= MIN_WAY and along > 2 * abs(across),
        kept=kept,
        arrived=float(np.hypot(last.x - true_x, last.y - true_y)) <= REACH,
    )


def _main(frame: np.ndarray) -> Seen | None:
    """The largest thing of a frame."""
    return max(look(frame)[1], key=lambda seen: seen.radius, default=None)


def psnr(frames: np.ndarray, truth: np.ndarray) -> float:
    """dB between two clips, peak 255."""
    error = float(np.mean((frames.astype(np.float64) - truth.astype(np.float64)) ** 2))
    return 10 * float(np.log10(255**2 / max(error, 1e-9)))
