"""What the video families share: sizes, frames, noise, texts, a first frame. No torch here."""

from __future__ import annotations

from typing import Any, NamedTuple

from brickwork.core.model import ModelSpec
from brickwork.core.request import Scalar
from brickwork.graph.types import INT, Dim, Type, video_type
from brickwork.models.diffusion import DiffusionFamily
from brickwork.workflow.arguments import constrain, expect, expect_tensor, fit_image
from brickwork.workflow.family import operation
from brickwork.workflow.lines import mistake
from brickwork.workflow.trace import Value, arithmetic, constant, current, emit

MAX_SIDE, MAX_FRAMES = 2048, 1024


class Start(NamedTuple):
    """Where image-to-video begins: pass both to `denoise`."""

    latents: Value
    first: Any  # the first frame as the family's transformer takes it; None where it stands in the latents


class VideoFamily(DiffusionFamily):
    """Operations of one directory of a video family. A family sets these and overrides the hooks."""

    frames: int  # defaults of the stock pipeline
    rate: int  # frames per second
    decode_op: str

    vae: ModelSpec
    channels: int  # of latents
    over: int  # pixels per latent, each side
    per_latent: int  # frames per latent frame
    from_image: bool  # image to video

    # ---------------------------------------------------------------------------------------- hooks of a family

    def decode_attrs(self) -> dict[str, Scalar]:
        return {}

    # ---------------------------------------------------------------------------------------------- the surface

    @property
    def default_frames(self) -> int:
        return self.border.frames or self.frames

    @property
    def frames_per_second(self) -> int:
        return self.border.frames_per_second or self.rate

    @operation
    def noise(self, seed: Any, size: Any, frames: Any) -> Value:
        """Latents of pure noise. Equal seeds give equal noise."""
        height, width = self._sides("noise", size)
        _, latent_frames = self._frames("noise", frames)
        inputs = {"seed": self._seed("noise", seed), "frames": latent_frames, "height": height, "width": width}
        outputs = {"latents": self._latent(latent_frames, height, width)}
        attrs = {"channels": self.channels, "over": self.over}
        return emit("noise.clip", inputs, outputs, attrs=attrs, name="noise")["latents"]

    @operation
    def decode(self, latents: Any) -> Value:
        """Latents to a video, uint8 [1, frames, height, width, 3]."""
        latents = self._expect_latents("decode: latents", latents)
        _, _, frames, height, width = latents.type.shape
        if isinstance(frames, Dim) and self.per_latent > 1:
            count = Value(latents.tracer, frames.scalar, INT)
            frames = Dim(((count - 1) * self.per_latent + 1).name)
        elif isinstance(frames, int):
            frames = (frames - 1) * self.per_latent + 1
        video = video_type((1, frames, self._pixels(height), self._pixels(width), 3), self.frames_per_second)
        return emit(self.decode_op, {"latents": latents}, {"video": video}, model=self.vae, attrs=self.decode_attrs())[
            "video"
        ]

    # ------------------------------------------------------------------------------------- checks of arguments

    def _rows(self, guidance: Value) -> Value:
        """Rows of a request: 2 while guidance asks about the negative text, too."""
        return constant(1) + arithmetic("scalar.int", guidance > 1.0)

    def _first_image(self, image: Any, size: Any) -> Value:
        """An image for the first frame, resized to `size` before it enters."""
        if not self.from_image:
            raise mistake(f"start_from: {self.root} makes videos of texts only")
        label = "start_from: image"
        if not isinstance(image, Value) or image.type.space != "image":
            expect_tensor(label, image, "image", "", (1, None, None, 3))
        current(label).check_own(label, image)
        height, width = self._sides("start_from", size)
        return fit_image(label, image, Type("image", "", "uint8", (1, Dim(height.name), Dim(width.name), 3)))

    def _expect_latents(self, label: str, given: Any) -> Value:
        return expect_tensor(label, given, "latent", self.vae.id, (1, self.channels, None, None, None))

    def _latent(self, frames: Value, height: Value, width: Value) -> Type:
        sides = (Dim(height.name, over=self.over), Dim(width.name, over=self.over))
        return Type("latent", self.vae.id, "float32", (1, self.channels, Dim(frames.name), *sides))

    def _velocity(self, rows: int | Dim, latents: Value) -> Type:
        return Type("velocity", self.vae.id, "float32", (rows, *latents.type.shape[1:]))

    def _frames(self, what: str, frames: Any) -> tuple[Value, Value]:
        """(frames, latent frames); as in the stock pipelines, frames between whole latents are left out."""
        value = expect(f"{what}: frames", frames, INT)
        constrain(f"{what}: frames", value, minimum=1, maximum=MAX_FRAMES)
        if self.per_latent == 1:
            return value, value
        latent = arithmetic("scalar.floordiv", value - 1, constant(self.per_latent)) + 1
        return (latent - 1) * self.per_latent + 1, latent

    def _pixels(self, axis: int | Dim) -> int | Dim:
        """A side in latents, as pixels. Exact, since sides in pixels are multiples of `over`."""
        if isinstance(axis, int):
            return axis * self.over
        return Dim(axis.scalar, axis.times, axis.over // self.over)
