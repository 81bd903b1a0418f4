"""What ControlNets add to an image family: what an author calls, the hooks of a family, and the nodes in the loop.

    controlnet    directory -> ControlNet                  none; its node stands in the loop, before predict

Its residuals enter the prediction as ports `control0_...`, `control1_...` in the author's order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.graph.types import FLOAT, Dim, Type
from brickwork.models.diffusion import DiffusionFamily
from brickwork.models.image.controls import Control, ControlNet, Residual, as_controls
from brickwork.models.image.images import fitted_image
from brickwork.models.image.space import LatentSpace
from brickwork.workflow.arguments import constrain, expect
from brickwork.workflow.family import operation
from brickwork.workflow.lines import mistake
from brickwork.workflow.trace import Value, emit


class ControlledFamily(DiffusionFamily):
    """An image family's ControlNets. A family without any overrides none of the hooks."""

    space: LatentSpace

    # ---------------------------------------------------------------------------------------- hooks of a family

    def read_controlnet(self, root: Path) -> ControlNet:
        raise ModelError(f"{root}: {type(self).__name__} takes no ControlNets.")

    def residuals(self, net: ControlNet) -> tuple[Residual, ...]:
        """What a ControlNet of this family gives at each step."""
        raise NotImplementedError

    def control_inputs(
        self, net: ControlNet, picture: Value, rows: Value, before: int, seed: Value
    ) -> dict[str, Value]:
        """What a ControlNet gets beside the step: the picture, or what the family makes of it once.

        before      ControlNets that stand before it; where a family draws from a generator, so many draws are over
        seed        of that generator
        """
        return {"image": picture}

    def residual_type(self, residual: Residual, dtype: str, rows: Value, latents: Value) -> Type:
        """[rows, channels, h, w]; families of token models put channels last."""
        sides = (_divided(axis, residual.over) for axis in latents.type.shape[2:])
        return Type("residual", "", dtype, (Dim(rows.name), residual.channels, *sides))

    # ---------------------------------------------------------------------------------------------- the surface

    @operation
    def controlnet(self, path: Any) -> Any:
        """The ControlNet in a directory: call it with a picture, and perhaps a size, scale, and the part of the steps.

        returns     use(image, size=None, scale=1.0, begin=0.0, end=1.0, seed=0) -> Control, for `denoise`
        """
        if not isinstance(path, str | Path):
            raise mistake(f"controlnet: expected the path of a directory, got {path!r}")
        net = self.read_controlnet(Path(path).expanduser().absolute())

        def use(
            image: Any, size: Any = None, *, scale: Any = 1.0, begin: Any = 0.0, end: Any = 1.0, seed: Any = 0
        ) -> Control:
            sides = None if size is None else self._sides("controlnet", size)
            picture = fitted_image("controlnet: image", image, sides)
            numbers = {"scale": scale, "begin": begin, "end": end}
            values = {name: expect(f"controlnet: {name}", given, FLOAT) for name, given in numbers.items()}
            constrain("controlnet: scale", values["scale"], minimum=0.0, maximum=10.0)
            for name in ("begin", "end"):
                constrain(f"controlnet: {name}", values[name], minimum=0.0, maximum=1.0)
            return Control(net, picture, self._seed("controlnet", seed), values)

        return use

    # ------------------------------------------------------------------------------------------------ inner parts

    def _controls(self, given: Any, latents: Value, rows: Value) -> list[tuple[ControlNet, dict[str, Value]]]:
        """Each ControlNet with its inputs that are the same at every step."""
        found = []
        for k, control in enumerate(as_controls(given)):
            if not isinstance(control, Control):
                raise mistake(f"denoise: controls: expected what a controlnet gave for a picture, got {control!r}")
            wanted = tuple(self.space.multiplied(axis) for axis in latents.type.shape[2:])
            if control.sides != wanted:
                raise mistake(f"denoise: a control picture of {_shown(control.sides)} for latents of {_shown(wanted)}")
            inputs = self.control_inputs(control.net, control.picture, rows, k, control.seed)
            found.append((control.net, inputs | dict(control.strength)))
        return found

    def _control_nodes(
        self,
        controls: Iterable[tuple[ControlNet, Mapping[str, Value]]],
        per_step: Mapping[str, Value],
        rows: Value,
        latents: Value,
    ) -> dict[str, Value]:
        ports: dict[str, Value] = {}
        for k, (net, inputs) in enumerate(controls):
            outputs = {r.port: self.residual_type(r, net.spec.dtype, rows, latents) for r in self.residuals(net)}
            given = emit(net.op, {**per_step, **inputs}, outputs, model=net.spec, attrs=net.attrs)
            ports |= {f"control{k}_{port}": value for port, value in given.items()}
        return ports


def _divided(axis: int | Dim, over: int) -> int | Dim:
    return Dim(axis.scalar, axis.times, axis.over * over) if isinstance(axis, Dim) else axis // over


def _shown(sides: tuple[int | Dim, ...]) -> str:
    return " x ".join(str(axis) if isinstance(axis, int) else axis.scalar for axis in sides) + " px"
