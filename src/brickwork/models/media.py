"""Pictures and clips into files, on the executor that made them (design 9)."""

import logging
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image

from brickwork.media.video import encode
from brickwork.models.ops import Call, Op, Outputs
from brickwork.store.artifacts import unwritten, write_artifact
from brickwork.store.errors import StoreError

log = logging.getLogger(__name__)


def image(_model: None, calls: list[Call]) -> list[Outputs]:
    """image [1, H, W, 3] uint8 -> key [1, 32] uint8, the sha256 of the file that now lies below `directory`."""
    return [(_save_image(**call.args, **call.attrs),) for call in calls]


def video(_model: None, calls: list[Call]) -> list[Outputs]:
    """video [1, frames, H, W, 3] uint8 -> key [1, 32] uint8, likewise."""
    return [(_save_video(**call.args, **call.attrs),) for call in calls]


def _save_image(image: torch.Tensor, directory: str, file_format: str) -> torch.Tensor:
    buffer = BytesIO()
    Image.fromarray(image[0].numpy()).save(buffer, file_format)
    return _write(buffer.getvalue(), directory, file_format)


def _save_video(video: torch.Tensor, directory: str, file_format: str, frames_per_second: int) -> torch.Tensor:
    return _write(encode(video[0].numpy(), frames_per_second, file_format), directory, file_format)


def _write(data: bytes, directory: str, file_format: str) -> torch.Tensor:
    """A disk that fails is no fault of the task, and another executor would meet it too: the key tells of it instead
    (`compiler.artifacts.key_type`), and who wanted the file decides what follows."""
    try:
        digest = write_artifact(Path(directory), data, file_format).digest
    except StoreError as error:
        log.warning("%s", error)
        digest = unwritten(error)
    return torch.frombuffer(bytearray(digest), dtype=torch.uint8).reshape(1, 32)


OPS: dict[str, Op] = {"artifact.image": image, "artifact.video": video}
