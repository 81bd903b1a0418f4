"""What families of token models share: packed latents, residuals as rows of tokens, control pictures as latents."""

from __future__ import annotations

from collections.abc import Mapping

from brickwork.core.errors import ModelError
from brickwork.core.request import Scalar
from brickwork.graph.types import Dim, Type
from brickwork.models.image.controls import Residual
from brickwork.models.image.space import LatentSpace
from brickwork.workflow.components import Component
from brickwork.workflow.trace import Value, emit


def check_packed(transformer: Component, space: LatentSpace) -> int:
    """Latent channels of a transformer that takes 2 x 2 latents as one token."""
    if (found := transformer.get("in_channels", int)) != 4 * space.channels:
        raise ModelError(f"{transformer.directory}: in_channels is {found}; its latents need {4 * space.channels}.")
    return space.channels


def tokens_type(residual: Residual, dtype: str, rows: int | Dim, latents: Value) -> Type:
    """[rows, h, w, channels]: tokens in their places in the picture."""
    sides = (
        Dim(axis.scalar, axis.times, axis.over * residual.over) if isinstance(axis, Dim) else axis // residual.over
        for axis in latents.type.shape[2:]
    )
    return Type("residual", "", dtype, (rows, *sides, residual.channels))


def control_latents(
    space: LatentSpace, picture: Value, rows: Value | None, seed: Value, attrs: Mapping[str, Scalar], op: str
) -> dict[str, Value]:
    """A control picture as latents [rows, c, h, w], a draw for each row.

    rows      None: one, whatever the rows of the prediction
    attrs     how latents are scaled; before: draws of the same generator that are over
    """
    sides = (space.divided("controlnet: image", axis) for axis in picture.type.shape[1:3])
    count = 1 if rows is None else Dim(rows.name)
    outputs = {"image": Type("latent", space.vae.id, "float32", (count, space.channels, *sides))}
    inputs = {"image": picture, "seed": seed} | ({} if rows is None else {"rows": rows})
    return emit(op, inputs, outputs, model=space.vae, attrs=attrs)
