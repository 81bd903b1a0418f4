"""Between what callers hold (files, PIL images, arrays) and what flows inside (scalars, tensor handles)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from brickwork.compiler.instance import concrete
from brickwork.compiler.plan import Plan
from brickwork.core.errors import InputError
from brickwork.core.request import Scalar
from brickwork.core.tensor import TensorHandle, TensorSpec
from brickwork.data.tensors import TensorStore
from brickwork.graph.ir import Input
from brickwork.graph.types import Type, rate_of
from brickwork.media.video import Video

MAX_PIXELS = 64_000_000
"""Largest picture that is decoded; a larger one is refused before its pixels are read."""


def pixels_of(declared: Input, value: Any, scalars: Mapping[str, Scalar]) -> np.ndarray:
    """An image input as [1, height, width, 3] uint8, resized (Lanczos) to what the workflow declares.

    raises    InputError that names the input
    """
    spec = concrete(declared.type, scalars)
    _, height, width, _ = spec.shape
    picture = open_picture(declared.name, value).convert("RGB")
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(picture, dtype=np.uint8)[None]


def open_picture(field: str, value: Any) -> Image.Image:
    """A path, PIL image, or array [height, width, 3] uint8 as a PIL image.

    raises    InputError that names `field`
    """
    if isinstance(value, Image.Image):
        return value
    if isinstance(value, np.ndarray):
        if value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3:
            raise InputError(field, f"expected an array [height, width, 3] uint8, got {value.shape} {value.dtype}")
        return Image.fromarray(value)
    if not isinstance(value, str | Path):
        raise InputError(field, f"expected a path, a PIL image or an array, got {type(value).__name__}")
    return _open_file(field, Path(value))


def _open_file(field: str, path: Path) -> Image.Image:
    try:
        picture = Image.open(path)
        if picture.width * picture.height > MAX_PIXELS:
            raise InputError(field, f"{path} has {picture.width}x{picture.height} pixels; the limit is {MAX_PIXELS:,}")
        picture.load()
    except FileNotFoundError:
        raise InputError(field, f"no such file: {path}") from None
    except UnidentifiedImageError:
        raise InputError(field, f"{path} is not a picture that Pillow can read (PNG, JPEG, WebP, ...)") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(field, f"{path} cannot be read as a picture: {error}") from None
    return picture


def output_types(plan: Plan) -> dict[str, Type]:
    """The type of each named result of `plan`."""
    types = {item.name: item.type for item in plan.inputs}
    programs = {program.id: program for program in plan.programs}
    for task in plan.tasks:
        results = programs[task.program].results
        types.update((value, kind) for value, (_, kind) in zip(task.results, results, strict=True))
    return {name: types[value] for name, value in plan.outputs}


def put_array(store: TensorStore, array: np.ndarray) -> TensorHandle:
    """Copy an array into the arena, as new work: room for a result is left. This process holds a lease on it."""
    array = np.ascontiguousarray(array)
    return store.put(array.data, TensorSpec(array.shape, str(array.dtype)), spare_bytes=store.result_credit_bytes)


def output_of(store: TensorStore, handle: TensorHandle, type_: Type) -> Any:
    """A result as the caller gets it: a PIL image, a Video, the key of a file for "artifact", else an array."""
    with store.get(handle) as lease:
        array = lease.numpy().copy()
    if type_.space == "image" and array.dtype == np.uint8:
        return Image.fromarray(array[0])
    if type_.space == "video":
        return Video(array[0], rate_of(type_))
    if type_.space == "artifact":
        return f"sha256-{array.tobytes().hex()}.{type_.of}"
    return array
