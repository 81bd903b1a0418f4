"""What the video families share: sizes, frames, noise, texts, a first frame. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from brickwork.core.model import ModelSpec
from brickwork.core.request import Scalar
from brickwork.graph.types import FLOAT, INT, SIZE, TEXT, Dim, Type, video_type
from brickwork.models.image.sampling import Sampler
from brickwork.workflow.arguments import constrain, expect, expect_tensor, fit_image
from brickwork.workflow.family import Border, Family, operation, read_border
from brickwork.workflow.inputs import parse_size
from brickwork.workflow.lines import mistake
from brickwork.workflow.trace import Value, arithmetic, constant, current, emit

MAX_SIDE, MAX_FRAMES = 2048, 1024
MAX_GUIDANCE = 100.0
MAX_SEED = 2**53 - 1
MAX_CHARS = 10_000


class Start(NamedTuple):
    """Where image-to-video begins: pass both to `denoise`."""

    latents: Value
    first: Any  # the first frame as the family's transformer takes it; None where it stands in the latents


class VideoFamily(Family):
    """Operations of one directory of a video family. A family sets these and overrides the hooks."""

    steps: int  # defaults of the stock pipeline
    guidance: float
    frames: int
    rate: int  # frames per second
    size: tuple[int, int]  # (height, width)
    min_steps = 1
    decode_op: str

    vae: ModelSpec
    channels: int  # of latents
    over: int  # pixels per latent, each side
    per_latent: int  # frames per latent frame
    multiple_of: int  # pixels of a side come in multiples of it
    from_image: bool  # image to video
    sampler: Sampler

    def __init__(self, root: Path, index: dict[str, Any]) -> None:
        super().__init__(root, index)
        self.border: Border = read_border(root)
        self.read(root, index)

    # ---------------------------------------------------------------------------------------- hooks of a family

    def read(self, root: Path, index: dict[str, Any]) -> None:
        """Set the attributes above from the directory; raise ModelError for what can't be computed exactly."""
        raise NotImplementedError

    def decode_attrs(self) -> dict[str, Scalar]:
        return {}

    # ---------------------------------------------------------------------------------------------- the surface

    @property
    def native_size(self) -> tuple[int, int]:
        """(height, width) in pixels that the model was trained for."""
        return self.border.sizes[0] if self.border.sizes else self.size

    @property
    def default_steps(self) -> int:
        return self.border.steps or self.steps

    @property
    def default_guidance(self) -> float:
        return self.guidance if self.border.guidance is None else self.border.guidance

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

    def _prompt(self, prompt: Any) -> Value:
        text = expect("encode: prompt", prompt, TEXT)
        limits = dict(words=self.border.words, max_words=self.border.max_words, max_chars=MAX_CHARS)
        constrain("encode: prompt", text, **limits)
        return text

    def _seed(self, what: str, seed: Any) -> Value:
        seed = expect(f"{what}: seed", seed, INT)
        constrain(f"{what}: seed", seed, minimum=0, maximum=MAX_SEED)
        return seed

    def _steps(self, steps: Any) -> Value:
        steps = expect("denoise: steps", steps, INT)
        constrain("denoise: steps", steps, minimum=self.min_steps, maximum=self.sampler.max_steps)
        return steps

    def _guidance(self, guidance: Any) -> Value:
        guidance = expect("denoise: guidance", guidance, FLOAT)
        constrain("denoise: guidance", guidance, minimum=0.0, maximum=MAX_GUIDANCE)
        return guidance

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

    def _sides(self, what: str, size: Any) -> tuple[Value, Value]:
        """Height and width of a size, which from now on must be one that the model draws."""
        if not isinstance(size, Value):
            size = self.native_size if size == "auto" else parse_size(size) or size
        value = expect(f"{what}: size", size, SIZE)
        if self.border.sizes:
            constrain(f"{what}: size", value, choices=self.border.sizes)
        else:
            limits = dict(minimum=self.multiple_of, maximum=MAX_SIDE, multiple_of=self.multiple_of)
            constrain(f"{what}: size", value, choices=(self.native_size,), **limits)
        return value.height, value.width

    def _pixels(self, axis: int | Dim) -> int | Dim:
        """A side in latents, as pixels. Exact, since sides in pixels are multiples of `over`."""
        if isinstance(axis, int):
            return axis * self.over
        return Dim(axis.scalar, axis.times, axis.over // self.over)
