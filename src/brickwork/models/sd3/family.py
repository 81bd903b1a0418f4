"""Stable Diffusion 3 as an author sees it: each method adds typed nodes to the workflow being declared.

    encode        text -> conditioning            text.clip, text.clip, text.t5, sd3.join
    noise         seed, size -> latents           noise.gaussian
    encode_image  image -> moments                vae.encode
    start_from    moments -> latents at a step    sd3.start_latents
    denoise       latents, text -> latents        loop of sd3.predict, guide.cfg, sampler.euler
    decode        latents -> image                vae.decode, image.to_uint8

Limits of the model (sizes, words, steps) flow to the request inputs that these methods are given. No torch here:
what the nodes compute is in `nodes.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from brickwork.graph.types import FLOAT, INT, SIZE, TEXT, Dim, Type
from brickwork.models.sd3.config import SD3Config, TextModel, read_config
from brickwork.workflow.arguments import constrain, expect, expect_tensor, fit_image
from brickwork.workflow.family import Family, operation
from brickwork.workflow.identity import joint_owner
from brickwork.workflow.inputs import parse_size
from brickwork.workflow.lines import mistake
from brickwork.workflow.loop import counted_loop
from brickwork.workflow.trace import Value, arithmetic, constant, current, emit, is_unsized

STEPS, GUIDANCE = 28, 7.0
"""Defaults of the stock pipeline, for directories that declare none."""

MAX_GUIDANCE = 100.0
MAX_SEED = 2**53 - 1
"""The largest integer that JSON numbers carry exactly."""

MAX_CHARS = 10_000
"""Of a prompt, where the model declares no vocabulary: far beyond what its tokenizers keep."""

MIN_STRENGTH = 0.01
"""Above 0 at least one step runs, whatever the number of steps."""


@dataclass(frozen=True)
class Conditioning:
    """A text as SD3's transformer takes it."""

    embeds: Value  # embedding [1, tokens, width]
    pooled: Value  # embedding [1, pooled]


class Start(NamedTuple):
    """Where image-to-image begins: pass both to `denoise`."""

    latents: Value
    step: Value


class SD3Family(Family):
    """Operations of one SD3 directory."""

    def __init__(self, root: Path, index: dict[str, Any]) -> None:
        super().__init__(root, index)
        self._config: SD3Config = read_config(root, index)

    @property
    def native_size(self) -> tuple[int, int]:
        """(height, width) in pixels that the model was trained for."""
        side = self._config.sample_size * self._config.over
        return self._config.border.sizes[0] if self._config.border.sizes else (side, side)

    @property
    def default_steps(self) -> int:
        return self._config.border.steps or STEPS

    @property
    def default_guidance(self) -> float:
        return GUIDANCE if self._config.border.guidance is None else self._config.border.guidance

    @operation
    def encode(self, prompt: Any) -> Conditioning:
        """A text through the three encoders. Its words must be in the model's vocabulary, when it declares one."""
        text = expect("encode: prompt", prompt, TEXT)
        border = self._config.border
        limits = dict(words=border.words, max_words=border.max_words, max_chars=MAX_CHARS)
        constrain("encode: prompt", text, **limits)
        c = self._config
        clip_1, clip_2, t5 = self._clip(c.clip_1, text), self._clip(c.clip_2, text), self._t5(text)
        inputs = {
            "clip_1": clip_1["hidden"], "pooled_1": clip_1["pooled"],
            "clip_2": clip_2["hidden"], "pooled_2": clip_2["pooled"], "t5": t5["hidden"],
        }  # fmt: skip
        embeds, pooled = self._text_types()
        joined = emit("sd3.join", inputs, {"embeds": embeds, "pooled": pooled})
        return Conditioning(joined["embeds"], joined["pooled"])

    @operation
    def noise(self, seed: Any, size: Any) -> Value:
        """Latents of pure noise. Equal seeds give equal noise."""
        seed = self._seed("noise", seed)
        height, width = self._sides("noise", size)
        inputs = {"seed": seed, "height": height, "width": width}
        attrs = {"channels": self._config.channels, "over": self._config.over}
        outputs = {"latent": self._latent(height, width)}
        return emit("noise.gaussian", inputs, outputs, attrs=attrs, name="noise")["latent"]

    @operation
    def denoise(
        self,
        latents: Any,
        text: Any,
        negative: Any = None,
        *,
        steps: Any,
        guidance: Any,
        start: Any = 0,
    ) -> Value:
        """Take latents along the schedule of `steps`, from step `start` to its end.

        negative    what not to draw; None: the empty text (nothing at all where guidance is a plain 1 or less)
        guidance    above 1, every step also asks the model about `negative`, and moves away from it
        """
        latents = self._expect_latents("denoise: latents", latents)
        steps = expect("denoise: steps", steps, INT)
        start = expect("denoise: start", start, INT)
        guidance = expect("denoise: guidance", guidance, FLOAT)
        constrain("denoise: steps", steps, minimum=1, maximum=self._config.num_train_timesteps)
        constrain("denoise: guidance", guidance, minimum=0.0, maximum=MAX_GUIDANCE)
        text = self._expect_text("denoise: text", text)
        negative = self._negative(text, negative, guidance)
        rows = constant(1) + arithmetic("scalar.int", guidance > 1.0)

        def trip(i: Value, latents: Value) -> dict[str, Value]:
            velocity = self._predict(latents, text, negative, rows, i, steps)
            guided = emit(
                "guide.cfg",
                {"velocity": velocity, "guidance": guidance, "rows": rows},
                {"velocity": self._like(latents, "velocity")},
            )["velocity"]
            inputs = {"latents": latents, "velocity": guided, "i": i, "steps": steps}
            return emit("sampler.euler", inputs, {"latents": latents.type}, attrs=self._schedule())

        return counted_loop("denoise", start, steps, {"latents": latents}, trip)["latents"]

    @operation
    def decode(self, latents: Any) -> Value:
        """Latents to an RGB image, uint8 [1, height, width, 3]."""
        latents = self._expect_latents("decode: latents", latents)
        height, width = (self._scaled(axis) for axis in latents.type.shape[2:])
        pixels = Type("pixels", dtype="float32", shape=(1, 3, height, width))
        decoded = emit("vae.decode", {"latents": latents}, {"pixels": pixels}, model=self._config.vae)
        image = Type("image", dtype="uint8", shape=(1, height, width, 3))
        return emit("image.to_uint8", decoded, {"image": image})["image"]

    @operation
    def encode_image(self, image: Any, size: Any = None) -> Value:
        """An image to the moments of its latents.

        size    what an image input is resized to before it enters; not needed for an image that the workflow made
        """
        label = "encode_image: image"
        if not isinstance(image, Value) or image.type.space != "image":
            expect_tensor(label, image, "image", "", (1, None, None, 3))
        current(label).check_own(label, image)
        if size is not None:
            height, width = self._sides("encode_image", size)
            image = fit_image(label, image, Type("image", "", "uint8", (1, Dim(height.name), Dim(width.name), 3)))
        elif is_unsized(image):
            raise mistake(f"{label}: the size of {image.name} is open; give encode_image a size to resize it to")
        image = expect_tensor(label, image, "image", "", (1, None, None, 3))
        over = self._config.over
        h, w = (_divided(label, axis, over) for axis in image.type.shape[1:3])
        moments = Type("moments", self._config.vae.id, "float32", (1, 2 * self._config.channels, h, w))
        return emit("vae.encode", {"image": image}, {"moments": moments}, model=self._config.vae)["moments"]

    @operation
    def start_from(self, moments: Any, seed: Any, steps: Any, strength: Any) -> Start:
        """Latents of an image with as much noise as belongs to the step at which `strength` begins.

        strength    1.0 ignores the image; small values keep most of it
        """
        c = self._config
        moments = expect_tensor("start_from: moments", moments, "moments", c.vae.id, (1, 2 * c.channels, None, None))
        seed = self._seed("start_from", seed)
        steps = expect("start_from: steps", steps, INT)
        strength = expect("start_from: strength", strength, FLOAT)
        constrain("start_from: steps", steps, minimum=1, maximum=c.num_train_timesteps)
        constrain("start_from: strength", strength, minimum=MIN_STRENGTH, maximum=1.0)
        step = first_step(steps, strength)
        attrs = self._schedule() | {"scaling_factor": c.scaling_factor, "shift_factor": c.shift_factor}
        type_ = Type("latent", c.vae.id, "float32", (1, c.channels, *moments.type.shape[2:]))
        inputs = {"moments": moments, "seed": seed, "i": step, "steps": steps}
        return Start(emit("sd3.start_latents", inputs, {"latents": type_}, attrs=attrs)["latents"], step)

    def _clip(self, model: TextModel, text: Value) -> dict[str, Value]:
        outputs = {
            "hidden": Type("embedding", model.spec.id, "float32", (1, model.tokens, model.width)),
            "pooled": Type("embedding", model.spec.id, "float32", (1, model.pooled)),
        }
        return emit("text.clip", {"text": text}, outputs, model=model.spec, attrs={"max_length": model.tokens})

    def _t5(self, text: Value) -> dict[str, Value]:
        t5 = self._config.t5
        outputs = {"hidden": Type("embedding", t5.spec.id, "float32", (1, t5.tokens, t5.width))}
        return emit("text.t5", {"text": text}, outputs, model=t5.spec, attrs={"max_length": t5.tokens})

    def _text_types(self) -> tuple[Type, Type]:
        """Types of the joint embeddings. They belong to the three encoders together, not to the transformer."""
        c = self._config
        owner = joint_owner([c.clip_1.spec, c.clip_2.spec, c.t5.spec])
        tokens, pooled = c.clip_1.tokens + c.t5.tokens, c.clip_1.pooled + c.clip_2.pooled
        embeds = Type("embedding", owner, "float32", (1, tokens, c.t5.width))
        return embeds, Type("embedding", owner, "float32", (1, pooled))

    def _predict(
        self, latents: Value, text: Conditioning, negative: Conditioning, rows: Value, i: Value, steps: Value
    ) -> Value:
        inputs = {
            "latents": latents, "embeds": text.embeds, "pooled": text.pooled,
            "negative_embeds": negative.embeds, "negative_pooled": negative.pooled,
            "rows": rows, "i": i, "steps": steps,
        }  # fmt: skip
        velocity = self._like(latents, "velocity", Dim(rows.name))
        model, attrs = self._config.transformer, self._schedule()
        return emit("sd3.predict", inputs, {"velocity": velocity}, model=model, attrs=attrs)["velocity"]

    def _negative(self, text: Conditioning, negative: Any, guidance: Value) -> Conditioning:
        """The second row's text. Where guidance is never above 1 there is no second row, and no text to encode."""
        if negative is not None:
            return self._expect_text("denoise: negative", negative)
        known = guidance.tracer.consts.get(guidance.name)
        return text if isinstance(known, float) and known <= 1.0 else self.encode("")

    def _expect_text(self, label: str, given: Any) -> Conditioning:
        if not isinstance(given, Conditioning):
            expect_tensor(label, given, "conditioning", self._text_types()[0].of, ())
        for value, type_ in zip((given.embeds, given.pooled), self._text_types(), strict=True):
            expect(label, value, type_)
        return given

    def _expect_latents(self, label: str, given: Any) -> Value:
        return expect_tensor(label, given, "latent", self._config.vae.id, (1, self._config.channels, None, None))

    def _seed(self, what: str, seed: Any) -> Value:
        value = expect(f"{what}: seed", seed, INT)
        constrain(f"{what}: seed", value, minimum=0, maximum=MAX_SEED)
        return value

    def _sides(self, what: str, size: Any) -> tuple[Value, Value]:
        """Height and width of a size, which from now on must be one that the model draws."""
        if not isinstance(size, Value):
            size = self.native_size if size == "auto" else parse_size(size) or size
        value = expect(f"{what}: size", size, SIZE)
        c = self._config
        if c.border.sizes:
            constrain(f"{what}: size", value, choices=c.border.sizes)
        else:
            limits = dict(minimum=c.multiple_of, maximum=c.max_side, multiple_of=c.multiple_of)
            constrain(f"{what}: size", value, choices=(self.native_size,), **limits)
        return value.height, value.width

    def _latent(self, height: Value, width: Value) -> Type:
        over = self._config.over
        shape = (1, self._config.channels, Dim(height.name, over=over), Dim(width.name, over=over))
        return Type("latent", self._config.vae.id, "float32", shape)

    def _like(self, latents: Value, space: str, rows: int | Dim = 1) -> Type:
        return Type(space, self._config.vae.id, "float32", (rows, *latents.type.shape[1:]))

    def _scaled(self, axis: int | Dim) -> int | Dim:
        """A side in latents, as pixels. Exact, since sides in pixels are multiples of `over`."""
        over = self._config.over
        if isinstance(axis, int):
            return axis * over
        return Dim(axis.scalar, axis.times * over // axis.over) if axis.times * over % axis.over == 0 else axis

    def _schedule(self) -> dict[str, Any]:
        return {"shift": self._config.shift, "num_train_timesteps": self._config.num_train_timesteps}


def first_step(steps: Value, strength: Value) -> Value:
    """The step at which image-to-image begins, as diffusers computes it: int(max(n - min(n * strength, n), 0))."""
    total = arithmetic("scalar.float", steps)
    kept = arithmetic("scalar.min", total * strength, total)
    return arithmetic("scalar.floor", arithmetic("scalar.max", total - kept, 0.0))


def _divided(label: str, axis: int | Dim, over: int) -> int | Dim:
    """A side in pixels, as latents."""
    if isinstance(axis, Dim):
        times, over = (axis.times, over) if axis.times % over else (axis.times // over, 1)
        return Dim(axis.scalar, times, axis.over * over)
    if axis % over:
        raise mistake(f"{label}: a side of {axis} px is no multiple of {over}")
    return axis // over
