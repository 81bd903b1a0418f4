"""ControlNets as an author uses them: a model and a picture, whose residuals enter the denoiser at every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from brickwork.core.model import ModelSpec
from brickwork.core.request import Scalar
from brickwork.graph.types import Dim
from brickwork.workflow.trace import Value


@dataclass(frozen=True)
class Residual:
    """One tensor that a ControlNet adds: its shape after [rows], sides as divisors of the latents' sides."""

    port: str
    channels: int
    over: int = 1  # latents per cell, each side


@dataclass(frozen=True)
class ControlNet:
    """A ControlNet of a family, ready to be given a picture."""

    spec: ModelSpec
    op: str
    attrs: Mapping[str, Scalar]


@dataclass(frozen=True)
class Control:
    """A ControlNet with its picture, and how strongly it acts when: scale, begin, end."""

    net: ControlNet
    picture: Value
    seed: Value  # of draws that the family makes from the picture
    strength: Mapping[str, Value]

    @property
    def sides(self) -> tuple[int | Dim, ...]:
        """Height and width of the picture."""
        return self.picture.type.shape[1:3]


def as_controls(given: Any) -> list[Control]:
    if isinstance(given, Control):
        return [given]
    return list(given)
