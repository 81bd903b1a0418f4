"""An image family as an author sees it: each method adds typed nodes to the workflow being declared.

    encode        text -> conditioning                     the family's text encoders
    noise         seed, size -> latents                    noise.gaussian
    encode_image  image -> moments                         vae.encode
    start_from    moments -> latents at a step             latents.start
    enlarge       latents -> larger latents at a step      latents.enlarge
    inpaint_from  image, mask -> latents and what stays    latents.inpaint
    controlnet    directory -> ControlNet                  see `controlled.py`
    denoise       latents, text -> latents                 loop of control, predict, guide, sampler.step
    decode        latents -> image                         vae.decode, image.to_uint8

A family says how its texts are encoded and which operation predicts (the hooks below); loops, samplers, guidance,
sizes and images are the same for all. Limits of the model flow to the request inputs that these methods are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from brickwork.core.model import ModelSpec
from brickwork.core.request import Scalar
from brickwork.graph.types import FLOAT, INT, TEXT, Dim, Type
from brickwork.models.image.adapters import adapters_value
from brickwork.models.image.controlled import ControlledFamily
from brickwork.models.image.encoders import Conditioning
from brickwork.models.image.images import Keep, Start, fitted_image, inpaint_nodes, is_from_picture
from brickwork.models.image.sampling import fractional_start
from brickwork.workflow.arguments import constrain, expect, expect_tensor
from brickwork.workflow.family import operation
from brickwork.workflow.lines import mistake
from brickwork.workflow.loop import counted_loop
from brickwork.workflow.trace import Value, arithmetic, constant, emit

MIN_STRENGTH = 0.01


class ImageFamily(ControlledFamily):
    """Operations of one directory of an image family. A family sets these and overrides the hooks."""

    predict_op: str
    lora: str  # how the files of adapters call the denoiser: "sdxl:unet"
    guide_op, encode_op, decode_op = "guide.cfg", "vae.encode", "vae.decode"
    strength_1_is_noise = True  # inpainting at strength 1 starts from pure noise
    first_step = staticmethod(fractional_start)
    is_told_guidance = False  # guidance is an input of the model; `true_guidance` moves away from the negative text

    denoiser: ModelSpec
    in_channels: int  # of the denoiser: the latents', or more where it sees mask and masked image, too

    # ---------------------------------------------------------------------------------------- hooks of a family

    def text_types(self) -> dict[str, Type]:
        """Types of a conditioning's parts."""
        raise NotImplementedError

    def encode_text(self, text: Value, adapters: Value) -> Conditioning:
        """Emit the nodes that encode a text."""
        raise NotImplementedError

    def empty_text(self, adapters: Value) -> Conditioning:
        """What the second row is asked when the author names no negative text."""
        return self.encode_text(expect("denoise: negative", "", TEXT), adapters)

    def away(self, guidance: Value, true_guidance: Any) -> Value:
        """How far every step moves away from the negative text."""
        if true_guidance is not None:
            raise mistake("denoise: true_guidance: is for models that are told their guidance; give guidance")
        return guidance

    def rows(self, guidance: Value) -> Value:
        """Rows of a request: 2 while guidance asks about the negative text, too."""
        return constant(1) + arithmetic("scalar.int", guidance > 1.0)

    def predict_inputs(self, guidance: Value) -> dict[str, Value]:
        """Further ports of the prediction."""
        return {}

    def predict_attrs(self) -> dict[str, Scalar]:
        return {}

    # ---------------------------------------------------------------------------------------------- the surface

    @operation
    def encode(self, prompt: Any, *, loras: Iterable[Any] = ()) -> Conditioning:
        """A text through the encoders. Its words must be in the model's vocabulary, when it declares one."""
        text, adapters = self._prompt(prompt), adapters_value("encode: loras", loras)
        return replace(self.encode_text(text, adapters), adapters=adapters)

    @operation
    def noise(self, seed: Any, size: Any, *, after: int = 0) -> Value:
        """Latents of pure noise. Equal seeds give equal noise.

        after       samples of the same seed's generator that were drawn before (see the family's ControlNets)
        """
        seed = self._seed("noise", seed)
        height, width = self._sides("noise", size)
        inputs = {"seed": seed, "height": height, "width": width}
        attrs: dict[str, Scalar] = {"channels": self.space.channels, "over": self.space.over}
        if after:
            attrs["after"] = after
        over = self.space.over
        outputs = {"latent": self.space.latent(Dim(height.name, over=over), Dim(width.name, over=over))}
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
        true_guidance: Any = None,
        start: Any = 0,
        stop: Any = None,
        keep: Keep | None = None,
        controls: Any = (),
        loras: Iterable[Any] = (),
    ) -> Value:
        """Take latents along the schedule of `steps`, from step `start` to its end.

        negative    what not to draw; None: the family's empty text
        guidance    above 1, every step also asks the model about `negative`, and moves away from it
        true_guidance   the same for a model that is told its guidance (Flux), which takes no negative text otherwise
        start       0 for noise; otherwise the step that start_from or inpaint_from gave with the latents
        stop        the step before which to stop, for another model to go on; None: go to the end
        keep        what inpaint_from gave: the part of the image that stays
        controls    ControlNets with their pictures; their residuals are added in this order
        loras       adapters of the denoiser: files, or pairs of file and scale
        """
        latents = self._expect_latents("denoise: latents", latents)
        steps, guidance = self._steps("denoise", steps), self._guidance(guidance)
        adapters, away = adapters_value("denoise: loras", loras), self.away(guidance, true_guidance)
        rows = self.rows(away)
        texts = self._texts(text, negative, away, rows)
        if not isinstance(start, Value) and start == 0:
            latents = self.sampler.begin(latents, steps)
        first = expect("denoise: start", start, INT)
        fixed = texts | {"rows": rows, "steps": steps} | self.predict_inputs(guidance)
        inner = self._inpainting_ports(keep) | {"adapters": adapters}
        listed = self._controls(controls, latents, rows)
        attrs = self.sampler.attrs | self.predict_attrs() | {"lora": self.lora}
        if is_from_picture(latents):
            attrs["channels_last"] = True

        def trip(i: Value, **carry: Value) -> dict[str, Value]:
            per_step = {"latents": carry["latents"], **fixed, "i": i}
            residuals = self._control_nodes(listed, per_step, rows, carry["latents"])
            velocity = self._predict({**per_step, **inner, **residuals}, rows, attrs)
            at = {"i": i, "steps": steps} | ({"start": first} if self.sampler.history else {})
            following = self.sampler.step(carry, self._guided(velocity, away, rows, carry["latents"]), at)
            return following if keep is None else following | self._blended(following["latents"], keep, i, steps)

        carry = {"latents": latents} | self.sampler.remember(latents)
        last = self.sampler.trips(steps) if stop is None else expect("denoise: stop", stop, INT)
        return counted_loop("denoise", first, last, carry, trip)["latents"]

    @operation
    def decode(self, latents: Any) -> Value:
        """Latents to an RGB image, uint8 [1, height, width, 3]."""
        latents = self._expect_latents("decode: latents", latents)
        height, width = (self.space.multiplied(axis) for axis in latents.type.shape[2:])
        pixels = Type("pixels", dtype="float32", shape=(1, 3, height, width))
        attrs = {"channels_last": True} if is_from_picture(latents) else {}
        decoded = emit(self.decode_op, {"latents": latents}, {"pixels": pixels}, model=self.space.vae, attrs=attrs)
        image = Type("image", dtype="uint8", shape=(1, height, width, 3))
        return emit("image.to_uint8", decoded, {"image": image})["image"]

    @operation
    def encode_image(self, image: Any, size: Any = None) -> Value:
        """An image to the moments of its latents.

        size    what an image input is resized to before it enters; not needed for an image that the workflow made
        """
        image = self._image("encode_image", image, size)
        outputs = {"moments": self._moments(image)}
        return emit(self.encode_op, {"image": image}, outputs, model=self.space.vae)["moments"]

    @operation
    def start_from(self, moments: Any, seed: Any, steps: Any, strength: Any) -> Start:
        """Latents of an image with as much noise as belongs to the step at which `strength` begins.

        strength    1.0 ignores the image; small values keep most of it
        """
        channels = 2 * self.space.channels
        owner = self.space.vae.id
        moments = expect_tensor("start_from: moments", moments, "moments", owner, (1, channels, None, None))
        seed, steps, strength = self._start("start_from", seed, steps, strength)
        step = self.first_step(steps, strength)
        inputs = {"moments": moments, "seed": seed, "i": step, "steps": steps}
        outputs = {"latents": self.space.latent(*moments.type.shape[2:])}
        attrs = self.sampler.attrs | self.space.attrs
        return Start(emit("latents.start", inputs, outputs, attrs=attrs)["latents"], step)

    @operation
    def enlarge(self, latents: Any, seed: Any, steps: Any, strength: Any, *, times: int = 2) -> Start:
        """Latents `times` as large on each side, with noise for another pass: pass both parts to `denoise`.

        strength    how much the second pass may change
        """
        latents = self._expect_latents("enlarge: latents", latents)
        seed, steps, strength = self._start("enlarge", seed, steps, strength)
        step = self.first_step(steps, strength)
        sides = (_multiplied(axis, times) for axis in latents.type.shape[2:])
        inputs = {"latents": latents, "seed": seed, "i": step, "steps": steps}
        attrs = self.sampler.attrs | {"times": times}
        made = emit("latents.enlarge", inputs, {"latents": self.space.latent(*sides)}, attrs=attrs)
        return Start(made["latents"], step)

    @operation
    def inpaint_from(self, image: Any, mask: Any, size: Any, seed: Any, steps: Any, strength: Any = 1.0) -> Start:
        """Latents of an image whose white part of `mask` is to be painted anew; pass `keep` on to `denoise`.

        strength    1.0 ignores what was there; small values keep most of it
        """
        image, mask = self._image("inpaint_from", image, size), self._image("inpaint_from", mask, size, "mask")
        seed, steps, strength = self._start("inpaint_from", seed, steps, strength)
        step = self.first_step(steps, strength)
        inputs = {"mask": mask, "seed": seed, "i": step, "steps": steps, "strength": strength}
        return inpaint_nodes(self, image, inputs, step, self._moments(image))

    # ------------------------------------------------------------------------------------------------ inner parts

    def _texts(self, text: Any, negative: Any, guidance: Value, rows: Value) -> dict[str, Value]:
        """The ports of the positive and, where rows can be 2, of the negative text."""
        positive = self._expect_text("denoise: text", text)
        parts = positive.parts
        known = guidance.tracer.consts.get(guidance.name)
        if negative is not None:
            if rows.tracer.consts.get(rows.name) == 1:
                raise mistake("denoise: negative: this model is told its guidance; give true_guidance above 1, too")
            second = self._expect_text("denoise: negative", negative).parts
        elif rows.tracer.consts.get(rows.name) == 1 or (isinstance(known, float) and known <= 1.0):
            second = parts  # there is no second row, and no text to encode
        else:
            adapters = positive.adapters
            second = self.empty_text(adapters_value("denoise", ()) if adapters is None else adapters).parts
        if rows.tracer.consts.get(rows.name) == 1:
            return dict(parts)
        return dict(parts) | {f"negative_{name}": value for name, value in second.items()}

    def _predict(self, inputs: Mapping[str, Value], rows: Value, attrs: Mapping[str, Scalar]) -> Value:
        outputs = {"velocity": self._like(inputs["latents"], "velocity", Dim(rows.name))}
        return emit(self.predict_op, inputs, outputs, model=self.denoiser, attrs=attrs)["velocity"]

    def _guided(self, velocity: Value, guidance: Value, rows: Value, latents: Value) -> Value:
        if rows.tracer.consts.get(rows.name) == 1:
            return velocity
        inputs = {"velocity": velocity, "guidance": guidance, "rows": rows}
        return emit(self.guide_op, inputs, {"velocity": self._like(latents, "velocity")})["velocity"]

    def _inpainting_ports(self, keep: Keep | None) -> dict[str, Value]:
        """Mask and masked image, for denoisers that were trained to see them."""
        if self.in_channels == self.space.channels:
            return {}
        if keep is None or keep.masked is None:
            raise mistake("denoise: this model only paints into images; begin with inpaint_from and pass its keep")
        return {"mask": keep.mask, "masked": keep.masked}

    def _blended(self, latents: Value, keep: Keep, i: Value, steps: Value) -> dict[str, Value]:
        """Outside of the mask, the image with the next step's noise; nothing to do where the model sees the mask."""
        if keep.original is None or keep.noise is None:
            return {}
        inputs = {"latents": latents, "original": keep.original, "noise": keep.noise, "mask": keep.mask}
        inputs |= {"i": i, "steps": steps}
        return emit("latents.blend", inputs, {"latents": latents.type}, attrs=self.sampler.attrs)

    def _expect_text(self, label: str, given: Any) -> Conditioning:
        types = self.text_types()
        if not isinstance(given, Conditioning):
            expect_tensor(label, given, "conditioning", next(iter(types.values())).of, ())
        for name, type_ in types.items():
            if name not in given.parts:
                raise mistake(f"{label}: it was encoded by another family; its {name} is missing")
            expect(label, given.parts[name], type_)
        return given

    def _expect_latents(self, label: str, given: Any) -> Value:
        return expect_tensor(label, given, "latent", self.space.vae.id, (1, self.space.channels, None, None))

    def _image(self, what: str, image: Any, size: Any, name: str = "image") -> Value:
        sides = None if size is None else self._sides(what, size)
        return fitted_image(f"{what}: {name}", image, sides)

    def _moments(self, image: Value) -> Type:
        sides = (self.space.divided("image", axis) for axis in image.type.shape[1:3])
        return Type("moments", self.space.vae.id, "float32", (1, 2 * self.space.channels, *sides))

    def _start(self, what: str, seed: Any, steps: Any, strength: Any) -> tuple[Value, Value, Value]:
        seed = self._seed(what, seed)
        steps, strength = self._steps(what, steps), expect(f"{what}: strength", strength, FLOAT)
        constrain(f"{what}: strength", strength, minimum=MIN_STRENGTH, maximum=1.0)
        return seed, steps, strength

    def _like(self, latents: Value, space: str, rows: int | Dim = 1) -> Type:
        return Type(space, self.space.vae.id, "float32", (rows, *latents.type.shape[1:]))


def _multiplied(axis: int | Dim, times: int) -> int | Dim:
    return Dim(axis.scalar, axis.times * times, axis.over) if isinstance(axis, Dim) else axis * times
