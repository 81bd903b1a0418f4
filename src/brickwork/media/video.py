"""Frames into files: mp4 by PyAV (H.264), gif and webp by Pillow.

One thread and no time stamps of creation, so equal frames give equal bytes: a clip that is made again after a crash
has the same name in a content-addressed directory.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FORMATS = ("mp4", "gif", "webp")


@dataclass(frozen=True)
class Video:
    """A clip in memory.

    frames    uint8 [frames, height, width, 3], RGB
    """

    frames: np.ndarray[Any, Any]
    frames_per_second: int

    def save(self, path: str | Path) -> None:
        """Write a file; its suffix decides the format: .mp4, .gif or .webp.

        raises    ValueError for another suffix; OSError
        """
        path = Path(path)
        path.write_bytes(encode(self.frames, self.frames_per_second, path.suffix.lower().removeprefix(".")))


def encode(frames: np.ndarray[Any, Any], frames_per_second: int, file_format: str) -> bytes:
    """A clip uint8 [frames, height, width, 3] as the bytes of a file of one of FORMATS."""
    if file_format not in FORMATS:
        raise ValueError(f"file_format: {file_format!r} is no format of clips; use {', '.join(FORMATS)}")
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[0] < 1 or frames.shape[3] != 3:
        raise ValueError(f"frames: expected uint8 [frames, height, width, 3], got {frames.dtype} {list(frames.shape)}")
    if file_format == "mp4":
        return _mp4(frames, frames_per_second)
    pictures = [Image.fromarray(frame) for frame in frames]
    buffer = io.BytesIO()
    timing = {"save_all": True, "append_images": pictures[1:], "duration": round(1000 / frames_per_second), "loop": 0}
    pictures[0].save(buffer, file_format, **timing)
    return buffer.getvalue()


def _mp4(frames: np.ndarray[Any, Any], frames_per_second: int) -> bytes:
    import av  # a quarter of a second, and only clips need it

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=frames_per_second, options={"crf": "16", "threads": "1"})
        stream.height, stream.width = (side + side % 2 for side in frames.shape[1:3])  # H.264 wants even sides
        stream.pix_fmt = "yuv420p"  # what every player reads
        for frame in np.pad(frames, [(0, 0), *((0, side % 2) for side in frames.shape[1:3]), (0, 0)], mode="edge"):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()
