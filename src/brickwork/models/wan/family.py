"""Wan 2.1 and 2.2 as an author sees it: each method adds typed nodes to the workflow being declared.

    encode        text -> text embedding                       text.umt5
    noise         seed, size, frames -> latents                noise.clip
    start_from    image, seed ... -> latents, first frame      noise.clip, image.clip_vision, wan.condition or
                                                               wan.first_latents
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
from brickwork.graph.types import Dim, Type
from brickwork.models.image.space import Sizes
from brickwork.models.video.family import MAX_SIDE, Start, VideoFamily
from brickwork.models.wan.config import read_config
from brickwork.workflow.arguments import expect
from brickwork.workflow.components import Index
from brickwork.workflow.family import operation
from brickwork.workflow.lines import mistake
from brickwork.workflow.loop import counted_loop
from brickwork.workflow.trace import Value, arithmetic, emit


@dataclass(frozen=True)
class FirstFrame:
    """A picture as Wan's transformer takes it: embedded, and as latents behind a mask."""

    embedding: Value | None  # embedding [1, tokens, width], where the model has an image encoder
    condition: Value  # condition [1, mask + channels, latent frames, h, w]; of the 5B model: latents of one frame


class WanFamily(VideoFamily):
    """Operations of one Wan directory."""

    steps, guidance, frames, rate = 50, 5.0, 81, 16
    decode_op = "wan.decode"

    def read(self, root: Path, index: Index) -> None:
        c = self._config = read_config(root, index)
        self.vae, self.channels, self.over, self.per_latent = c.vae, c.channels, c.over, c.per_latent
        self.sizes = Sizes((480, 832), c.over * c.patch, MAX_SIDE)
        self.from_image, self.sampler = c.from_image, c.sampler

    @operation
    def encode(self, prompt: Any) -> Value:
        """A text through the encoder. Its words must be in the model's vocabulary, when it declares one."""
        text = self._prompt(prompt)
        outputs, attrs = {"hidden": self._text_type()}, {"max_length": self._config.text_tokens}
        return emit("text.umt5", {"text": text}, outputs, model=self._config.text, attrs=attrs)["hidden"]

    @operation
    def start_from(self, image: Any, seed: Any, size: Any, frames: Any) -> Start:
        """Noise, and a picture as the first frame of a clip. Equal seeds give equal noise.

        size      what an image input is resized to before it enters
        frames    of the clip
        """
        c, image = self._config, self._first_image(image, size)
        pixel_frames, latent_frames = self._frames("start_from", frames)
        height, width = self._sides("start_from", size)
        sides = self._latent(latent_frames, height, width).shape[2:]
        given = self._condition_type(*sides)
        if c.expands:
            condition = emit("wan.first_latents", {"image": image}, {"latents": given}, model=c.vae)["latents"]
            return Start(self.noise(seed, size, frames), FirstFrame(None, condition))
        inputs, attrs = {"image": image, "frames": pixel_frames}, {"per_latent": c.per_latent}
        condition = emit("wan.condition", inputs, {"condition": given}, model=c.vae, attrs=attrs)["condition"]
        return Start(self.noise(seed, size, frames), FirstFrame(self._see(image), condition))

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
        steps, guidance = self._steps("denoise", steps), self._guidance(guidance)
        late = guidance if late_guidance is None else self._guidance(late_guidance)
        given = {
            "text": expect("denoise: text", text, self._text_type()),
            "negative": self._negative(text, negative, guidance),
            "steps": steps,
            "rows": self._rows(guidance),
        } | self._first(latents, first)
        carry = {"latents": latents} | self.sampler.remember(latents)
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
        sampler = self.sampler
        attrs = sampler.attrs | {"expands": self._config.expands}

        def trip(i: Value, **carry: Value) -> dict[str, Value]:
            inputs = {"latents": carry["latents"], "i": i, **given}
            rows = given["rows"]
            asked = {"velocity": self._velocity(Dim(rows.name), carry["latents"])}
            velocity = emit("wan.predict", inputs, asked, model=model, attrs=attrs)
            one = {"velocity": self._velocity(1, carry["latents"])}
            guided = emit("guide.cfg", {**velocity, "guidance": guidance, "rows": rows}, one)["velocity"]
            return sampler.step(carry, guided, {"i": i, "steps": given["steps"]})

        return counted_loop("denoise", *stretch, carry, trip)

    def _see(self, image: Value) -> Value | None:
        """The picture through the image encoder, where the model has one."""
        if self._config.image is None:
            return None
        outputs = {"hidden": self._image_type()}
        return emit("image.clip_vision", {"image": image}, outputs, model=self._config.image)["hidden"]

    def _first(self, latents: Value, first: Any) -> dict[str, Value]:
        """The inputs that a first frame adds."""
        if not self.from_image:
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
        return Type("embedding", c.text.id, c.text.dtype, (1, c.text_tokens, c.text_width))

    def _image_type(self) -> Type:
        c = self._config
        assert c.image is not None
        return Type("embedding", c.image.id, c.image.dtype, (1, c.image_tokens, c.image_width))

    def _condition_type(self, frames: int | Dim, height: int | Dim, width: int | Dim) -> Type:
        c = self._config
        if c.expands:
            return Type("latent", c.vae.id, "float32", (1, c.channels, 1, height, width))
        return Type("condition", c.vae.id, "float32", (1, c.per_latent + c.channels, frames, height, width))
