"""Wan 2.1 and 2.2 as an author sees it: each method adds typed nodes to the workflow being declared.

    encode        text -> text embedding                       text.umt5
    start_from    image, frames -> first frame                 image.clip_vision, wan.condition or wan.first_latents
    noise         seed, size, frames -> latents                wan.noise
    denoise       latents, text (, first frame) -> latents     loop of wan.predict, guide.cfg, sampler.step; with two
                                                               transformers (2.2) a loop for each
    decode        latents -> video                             wan.decode

The autoencoder may be Wan's own or, frame by frame, that of a picture model. No torch here: what the nodes compute is
in `nodes.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brickwork.core.model import ModelSpec
from brickwork.graph.types import FLOAT, INT, SIZE, TEXT, Dim, Type, video_type
from brickwork.models.wan.config import WanConfig, read_config
from brickwork.workflow.arguments import constrain, expect, expect_tensor, fit_image
from brickwork.workflow.family import Family, operation
from brickwork.workflow.inputs import parse_size
from brickwork.workflow.lines import mistake
from brickwork.workflow.loop import counted_loop
from brickwork.workflow.trace import Value, arithmetic, constant, current, emit

STEPS, GUIDANCE, FRAMES, FRAMES_PER_SECOND = 50, 5.0, 81, 16
"""Defaults of the stock pipelines, for directories that declare none."""

NATIVE_SIZE = (480, 832)
MAX_SIDE, MAX_FRAMES = 2048, 1024
MAX_GUIDANCE = 100.0
MAX_SEED = 2**53 - 1
MAX_CHARS = 10_000


@dataclass(frozen=True)
class FirstFrame:
    """A picture as Wan's transformer takes it: embedded, and as latents behind a mask."""

    embedding: Value | None  # embedding [1, tokens, width], where the model has an image encoder
    condition: Value  # condition [1, mask + channels, latent frames, h, w]; of the 5B model: latents of one frame


class WanFamily(Family):
    """Operations of one Wan directory."""

    def __init__(self, root: Path, index: dict[str, Any]) -> None:
        super().__init__(root, index)
        self._config: WanConfig = read_config(root, index)

    @property
    def native_size(self) -> tuple[int, int]:
        """(height, width) in pixels that the model was trained for."""
        return self._config.border.sizes[0] if self._config.border.sizes else NATIVE_SIZE

    @property
    def default_steps(self) -> int:
        return self._config.border.steps or STEPS

    @property
    def default_guidance(self) -> float:
        return GUIDANCE if self._config.border.guidance is None else self._config.border.guidance

    @property
    def default_frames(self) -> int:
        return self._config.border.frames or FRAMES

    @property
    def frames_per_second(self) -> int:
        return self._config.border.frames_per_second or FRAMES_PER_SECOND

    @operation
    def encode(self, prompt: Any) -> Value:
        """A text through the encoder. Its words must be in the model's vocabulary, when it declares one."""
        text = expect("encode: prompt", prompt, TEXT)
        border = self._config.border
        constrain("encode: prompt", text, words=border.words, max_words=border.max_words, max_chars=MAX_CHARS)
        outputs, attrs = {"hidden": self._text_type()}, {"max_length": self._config.text_tokens}
        return emit("text.umt5", {"text": text}, outputs, model=self._config.text, attrs=attrs)["hidden"]

    @operation
    def start_from(self, image: Any, size: Any, frames: Any) -> FirstFrame:
        """A picture as the first frame of a clip.

        size      what an image input is resized to before it enters
        frames    of the clip
        """
        c = self._config
        if not c.from_image:
            raise mistake(f"start_from: {self.root} makes videos of texts only")
        label = "start_from: image"
        if not isinstance(image, Value) or image.type.space != "image":
            expect_tensor(label, image, "image", "", (1, None, None, 3))
        current(label).check_own(label, image)
        height, width = self._sides("start_from", size)
        image = fit_image(label, image, Type("image", "", "uint8", (1, Dim(height.name), Dim(width.name), 3)))
        pixel_frames, latent_frames = self._frames("start_from", frames)
        given = self._condition_type(
            Dim(latent_frames.name), Dim(height.name, over=c.over), Dim(width.name, over=c.over)
        )
        if c.expands:
            condition = emit("wan.first_latents", {"image": image}, {"latents": given}, model=c.vae)["latents"]
            return FirstFrame(None, condition)
        inputs, attrs = {"image": image, "frames": pixel_frames}, {"per_latent": c.per_latent}
        condition = emit("wan.condition", inputs, {"condition": given}, model=c.vae, attrs=attrs)["condition"]
        return FirstFrame(self._see(image), condition)

    @operation
    def noise(self, seed: Any, size: Any, frames: Any) -> Value:
        """Latents of pure noise. Equal seeds give equal noise."""
        c = self._config
        seed = expect("noise: seed", seed, INT)
        constrain("noise: seed", seed, minimum=0, maximum=MAX_SEED)
        height, width = self._sides("noise", size)
        _, latent_frames = self._frames("noise", frames)
        inputs = {"seed": seed, "frames": latent_frames, "height": height, "width": width}
        sides = (Dim(height.name, 1, c.over), Dim(width.name, 1, c.over))
        type_ = Type("latent", c.vae.id, "float32", (1, c.channels, Dim(latent_frames.name), *sides))
        attrs = {"channels": c.channels, "over": c.over}
        return emit("wan.noise", inputs, {"latents": type_}, attrs=attrs, name="noise")["latents"]

    @operation
    def denoise(
        self,
        latents: Any,
        text: Any,
        negative: Any = None,
        first: Any = None,
        *,
        steps: Any,
        guidance: Any,
        late_guidance: Any = None,
    ) -> Value:
        """Take latents along the schedule of `steps`.

        negative        what not to show; None: the empty text
        first           the first frame, of a model that takes one
        guidance        above 1, every step also asks the model about `negative`, and moves away from it
        late_guidance   the same for the steps of a model's second transformer (Wan 2.2); None: `guidance`
        """
        latents = self._expect_latents("denoise: latents", latents)
        steps, guidance = expect("denoise: steps", steps, INT), expect("denoise: guidance", guidance, FLOAT)
        late = guidance if late_guidance is None else expect("denoise: late_guidance", late_guidance, FLOAT)
        constrain("denoise: steps", steps, minimum=1, maximum=self._config.sampler.max_steps)
        for value in (guidance, late):
            constrain("denoise: guidance", value, minimum=0.0, maximum=MAX_GUIDANCE)
        given = {
            "text": expect("denoise: text", text, self._text_type()),
            "negative": self._negative(text, negative, guidance),
            "steps": steps,
            "rows": constant(1) + arithmetic("scalar.int", guidance > 1.0),
        } | self._first(latents, first)
        carry = {"latents": latents} | self._config.sampler.remember(latents)
        change = self._change(steps)
        carry = self._loop(self._config.transformer, (0, change), carry, given, guidance)
        if self._config.expert is not None:
            carry = self._loop(self._config.expert, (change, steps), carry, given, late)
        if not (self._config.expands and first is not None):
            return carry["latents"]
        inputs = {"latents": carry["latents"], "first": given["condition"]}
        return emit("wan.keep_first", inputs, {"latents": latents.type})["latents"]

    def _change(self, steps: Value) -> Value:
        """The step from which the second transformer is asked; all of them where there is one transformer."""
        share = self._config.first_share
        if self._config.expert is None:
            return steps
        return arithmetic(
            "scalar.min", steps, arithmetic("scalar.floor", arithmetic("scalar.float", steps) * share) + 1
        )

    def _loop(
        self,
        model: ModelSpec,
        stretch: tuple[Value | int, Value],
        carry: dict[str, Value],
        given: dict[str, Value],
        guidance: Value,
    ) -> dict[str, Value]:
        """The steps of a stretch with one transformer; returns the carry behind them."""
        sampler = self._config.sampler
        attrs = sampler.attrs | {"expands": self._config.expands}

        def trip(i: Value, **carry: Value) -> dict[str, Value]:
            inputs = {"latents": carry["latents"], "i": i, **given}
            rows, shape = given["rows"], carry["latents"].type.shape[1:]
            asked = {"velocity": Type("velocity", self._config.vae.id, "float32", (Dim(rows.name), *shape))}
            velocity = emit("wan.predict", inputs, asked, model=model, attrs=attrs)
            one = {"velocity": Type("velocity", self._config.vae.id, "float32", (1, *shape))}
            guided = emit("guide.cfg", {**velocity, "guidance": guidance, "rows": rows}, one)["velocity"]
            return sampler.step(carry, guided, {"i": i, "steps": given["steps"]})

        return counted_loop("denoise", *stretch, carry, trip)

    @operation
    def decode(self, latents: Any) -> Value:
        """Latents to a video, uint8 [1, frames, height, width, 3]."""
        c = self._config
        latents = self._expect_latents("decode: latents", latents)
        _, _, frames, height, width = latents.type.shape
        if isinstance(frames, Dim) and c.per_latent > 1:
            count = Value(latents.tracer, frames.scalar, INT)
            frames = Dim(((count - 1) * c.per_latent + 1).name)
        elif isinstance(frames, int):
            frames = (frames - 1) * c.per_latent + 1
        video = video_type((1, frames, self._pixels(height), self._pixels(width), 3), self.frames_per_second)
        return emit("wan.decode", {"latents": latents}, {"video": video}, model=c.vae)["video"]

    def _see(self, image: Value) -> Value | None:
        """The picture through the image encoder, where the model has one."""
        if self._config.image is None:
            return None
        outputs = {"hidden": self._image_type()}
        return emit("image.clip_vision", {"image": image}, outputs, model=self._config.image)["hidden"]

    def _first(self, latents: Value, first: Any) -> dict[str, Value]:
        """The inputs that a first frame adds."""
        if not self._config.from_image:
            if first is not None:
                raise mistake(f"denoise: first: {self.root} makes videos of texts only; it takes no first frame")
            return {}
        if not isinstance(first, FirstFrame):
            raise mistake("denoise: first: expected the first frame, as start_from gives it; this model continues one")
        given = {"condition": expect("denoise: first", first.condition, self._condition_type(*latents.type.shape[2:]))}
        if first.embedding is not None:
            given["image"] = expect("denoise: first", first.embedding, self._image_type())
        return given

    def _negative(self, text: Any, negative: Any, guidance: Value) -> Value:
        """The second row's text. Where guidance is never above 1 there is no second row, and no text to encode."""
        if negative is not None:
            return expect("denoise: negative", negative, self._text_type())
        known = guidance.tracer.consts.get(guidance.name)
        return text if isinstance(known, float) and known <= 1.0 else self.encode("")

    def _text_type(self) -> Type:
        c = self._config
        return Type("embedding", c.text.id, "float32", (1, c.text_tokens, c.text_width))

    def _image_type(self) -> Type:
        c = self._config
        return Type("embedding", c.image.id if c.image else "", "float32", (1, c.image_tokens, c.image_width))

    def _condition_type(self, frames: int | Dim, height: int | Dim, width: int | Dim) -> Type:
        c = self._config
        if c.expands:
            return Type("latent", c.vae.id, "float32", (1, c.channels, 1, height, width))
        return Type("condition", c.vae.id, "float32", (1, c.per_latent + c.channels, frames, height, width))

    def _expect_latents(self, label: str, given: Any) -> Value:
        return expect_tensor(label, given, "latent", self._config.vae.id, (1, self._config.channels, None, None, None))

    def _frames(self, what: str, frames: Any) -> tuple[Value, Value]:
        """(frames, latent frames); as in the stock pipeline, frames between whole latents are left out."""
        value = expect(f"{what}: frames", frames, INT)
        constrain(f"{what}: frames", value, minimum=1, maximum=MAX_FRAMES)
        per = self._config.per_latent
        if per == 1:
            return value, value
        latent = arithmetic("scalar.floordiv", value - 1, constant(per)) + 1
        return (latent - 1) * per + 1, latent

    def _sides(self, what: str, size: Any) -> tuple[Value, Value]:
        """Height and width of a size, which from now on must be one that the model draws."""
        if not isinstance(size, Value):
            size = self.native_size if size == "auto" else parse_size(size) or size
        value = expect(f"{what}: size", size, SIZE)
        c = self._config
        if c.border.sizes:
            constrain(f"{what}: size", value, choices=c.border.sizes)
        else:
            limits = dict(minimum=c.multiple_of, maximum=MAX_SIDE, multiple_of=c.multiple_of)
            constrain(f"{what}: size", value, choices=(self.native_size,), **limits)
        return value.height, value.width

    def _pixels(self, axis: int | Dim) -> int | Dim:
        """A side in latents, as pixels. Exact, since sides in pixels are multiples of `over`."""
        if isinstance(axis, int):
            return axis * self._config.over
        return Dim(axis.scalar, axis.times, axis.over // self._config.over)
