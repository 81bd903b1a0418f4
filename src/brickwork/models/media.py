"""Pictures into files, on the executor that made them (design 9)."""

import logging
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image

from brickwork.models.ops import Call, Op, Outputs
from brickwork.store.artifacts import unwritten, write_artifact
from brickwork.store.errors import StoreError

log = logging.getLogger(__name__)


def png(_model: None, calls: list[Call]) -> list[Outputs]:
    """image [1, H, W, 3] uint8 -> key [1, 32] uint8, the sha256 of the PNG that now lies below `directory`.

    A disk that fails is no fault of the task, and another executor would meet it too: the key tells of it instead
    (`compiler.artifacts.KEY`), and who wanted the picture decides what follows.
    """
    return [(_write(**call.args, **call.attrs),) for call in calls]


def _write(image: torch.Tensor, directory: str) -> torch.Tensor:
    buffer = BytesIO()
    Image.fromarray(image[0].numpy()).save(buffer, "PNG")
    try:
        digest = write_artifact(Path(directory), buffer.getvalue(), "png").digest
    except StoreError as error:
        log.warning("%s", error)
        digest = unwritten(error)
    return torch.frombuffer(bytearray(digest), dtype=torch.uint8).reshape(1, 32)


OPS: dict[str, Op] = {"artifact.png": png}
