"""Pictures as they come and go over HTTP: data URLs and artifact ids in, artifacts and re-encoded files out. Executors
write the pictures that they make; what is written here came from clients, or is a tensor of another kind.

Nothing that a client sends is ever taken for a path or fetched from elsewhere.
"""

import base64
import binascii
import io
import re
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from brickwork.compiler.plan import Plan
from brickwork.coordinator.runs import Result
from brickwork.coordinator.values import MAX_PIXELS, output_types
from brickwork.core.errors import InputError
from brickwork.server.schema import PICTURE
from brickwork.store.artifacts import ArtifactDirectory, ArtifactKey
from brickwork.store.errors import DamagedArtifact, UnknownArtifact
from brickwork.store.jobs import Job, Value

MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}
"""Formats that are read, by Pillow's name; others are refused, so that few decoders face strangers."""

_DATA_URL = re.compile(r"data:image/[a-z0-9.+-]{1,40};base64,")


def take_picture(field: str, text: str, artifacts: ArtifactDirectory) -> tuple[ArtifactKey, Image.Image]:
    """A picture that a client sent, kept as an artifact and decoded. Blocks: decoding and writing take milliseconds.

    raises    InputError that names `field`; StoreError when it cannot be kept
    """
    if match := _DATA_URL.match(text):
        data = _bytes_of(field, text[match.end() :])
        picture = _decoded(field, data)
        return artifacts.put(data, MEDIA_TYPES[str(picture.format)]), picture
    try:
        key = ArtifactKey(text)
    except ValueError:
        raise InputError(field, f"expected {PICTURE}, got {text[:40]!r}") from None
    return key, kept_picture(field, key, artifacts)


def kept_picture(field: str, key: ArtifactKey, artifacts: ArtifactDirectory) -> Image.Image:
    """A picture that is an artifact of this server. Blocks.

    raises    InputError when it is not there, or is no picture
    """
    try:
        return _decoded(field, artifacts.read(key))
    except (UnknownArtifact, DamagedArtifact) as error:
        raise InputError(field, str(error)) from None


def kept_inputs(job: Job, artifacts: ArtifactDirectory) -> dict[str, Any]:
    """Inputs of a kept job as the coordinator takes them. Blocks. raises InputError for a picture that is gone"""
    return {
        name: kept_picture(name, value, artifacts) if isinstance(value, ArtifactKey) else value
        for name, value in job.values
    }


def kept_results(plan: Plan, result: Result, artifacts: ArtifactDirectory) -> tuple[tuple[str, Value], ...]:
    """Results as their job's row has them: pictures are files already, other tensors become files. Blocks.

    raises    StoreError when one could not be written, here or by the executor that made it
    """
    types = output_types(plan)
    return tuple((name, _kept(value, types[name].space, artifacts)) for name, value in result.outputs.items())


def _kept(value: Any, space: str, artifacts: ArtifactDirectory) -> Value:
    if space == "artifact":
        return artifacts.written(ArtifactKey(value))
    if not isinstance(value, np.ndarray):
        return value  # type: ignore[no-any-return]  # a scalar
    buffer = io.BytesIO()
    np.save(buffer, value, allow_pickle=False)
    return artifacts.put(buffer.getvalue(), "application/octet-stream")


def encoded(picture: Image.Image, file_format: str, quality: int | None = None) -> bytes:
    """A picture as a file: "png", "jpeg" or "webp". `quality`, 0 to 100, is of the latter two."""
    buffer = io.BytesIO()
    options = {} if quality is None or file_format == "png" else {"quality": quality}
    picture.convert("RGB").save(buffer, file_format, **options)
    return buffer.getvalue()


def reencoded(data: bytes, file_format: str, quality: int | None) -> bytes:
    """One of our own PNG files in another format. Blocks."""
    return data if file_format == "png" else encoded(Image.open(io.BytesIO(data)), file_format, quality)


def _bytes_of(field: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InputError(field, "its data URL is not valid base64") from None


def _decoded(field: str, data: bytes) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(data), formats=tuple(MEDIA_TYPES))
        if picture.width * picture.height > MAX_PIXELS:
            raise InputError(field, f"it has {picture.width}x{picture.height} pixels; the limit is {MAX_PIXELS:,}")
        picture.load()
    except UnidentifiedImageError:
        raise InputError(field, f"it is no picture of a known format ({', '.join(MEDIA_TYPES)})") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(field, f"the picture cannot be read: {error}") from None
    return picture
