"""LTX-Video as an author sees it: each method adds typed nodes to the workflow being declared.

    encode        text -> conditioning                        ltx.t5
    noise         seed, size, frames -> latents               noise.clip
    start_from    image, seed, size, frames -> latents        ltx.start_latents
    denoise       latents, text -> latents                    loop of ltx.predict, guide.cfg, sampler.step (, ltx.hold)
    decode        latents -> video                            ltx.decode

A first frame stands in the latents themselves and is held there; the noise of the other frames comes from the same
generator, so `start_from` takes the place of `noise`. No torch here: what the nodes compute is in `nodes.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.core.model import ModelSpec
from brickwork.core.request import Scalar
from brickwork.graph.types import Dim, Type
from brickwork.models.image.sampling import read_sampler
from brickwork.models.image.space import Sizes
from brickwork.models.video.family import MAX_SIDE, Start, VideoFamily
from brickwork.workflow.arguments import expect
from brickwork.workflow.components import Component, Index, read_component
from brickwork.workflow.family import operation
from brickwork.workflow.identity import model_spec
from brickwork.workflow.lines import mistake
from brickwork.workflow.loop import counted_loop
from brickwork.workflow.trace import Value, emit

TEXT_TOKENS = 128
"""The stock pipelines' `max_sequence_length`. The encoder gets no mask, so the padded length is part of the result."""

ONLY = {"patch_size": 1, "patch_size_t": 1}
"""Of the transformer: latents are tokens."""


@dataclass(frozen=True)
class Conditioning:
    """A text as LTX's transformer takes it."""

    hidden: Value  # embedding [1, tokens, width]
    mask: Value  # bool [1, tokens]: which tokens are the text's own


class LTXFamily(VideoFamily):
    """Operations of one LTX-Video directory."""

    steps, guidance, frames, rate = 50, 3.0, 161, 25
    decode_op = "ltx.decode"

    def read(self, root: Path, index: Index) -> None:
        vae = read_component(root, index, "vae", ("AutoencoderKLLTXVideo",))
        text = read_component(root, index, "text_encoder", ("T5EncoderModel",))
        transformer = read_component(root, index, "transformer", ("LTXVideoTransformer3DModel",))
        tokenizer = read_component(root, index, "tokenizer", ("T5Tokenizer", "T5TokenizerFast"))
        self.vae, self.channels = model_spec("ltx_vae", vae), vae.get("latent_channels", int)
        self.over, self.per_latent = _shrinks(vae)
        self.sizes = Sizes((512, 704), self.over, MAX_SIDE)
        self.from_image = index.get("_class_name") == "LTXImageToVideoPipeline"
        classes = ("FlowMatchEulerDiscreteScheduler",)
        self.sampler = read_sampler(root, index, classes, linear_sigmas=True, shift_patch=1)
        if json.loads(self.sampler.text)["options"].get("shift_terminal"):
            self.min_steps = 2  # one step would be both the first and the terminal one; the library divides by zero
        self.text: ModelSpec = model_spec("t5_text", text, tokenizer)
        self.text_tokens, self.text_width = TEXT_TOKENS, text.get("d_model", int)
        self.transformer: ModelSpec = model_spec("ltx_transformer", transformer)
        wanted = ONLY | {"in_channels": self.channels, "caption_channels": self.text_width}
        for key, value in wanted.items():
            if (found := transformer.config.get(key)) != value:
                raise ModelError(f"{transformer.directory}: {key} is {found!r}; expected {value}.")

    @operation
    def encode(self, prompt: Any) -> Conditioning:
        """A text through the encoder. Its words must be in the model's vocabulary, when it declares one."""
        text = self._prompt(prompt)
        hidden, mask = self._text_types()
        outputs, attrs = {"hidden": hidden, "mask": mask}, {"max_length": self.text_tokens}
        encoded = emit("ltx.t5", {"text": text}, outputs, model=self.text, attrs=attrs)
        return Conditioning(encoded["hidden"], encoded["mask"])

    @operation
    def start_from(self, image: Any, seed: Any, size: Any, frames: Any) -> Start:
        """Latents that begin with a picture and go on as noise. Equal seeds give equal latents.

        size      what an image input is resized to before it enters
        frames    of the clip
        """
        image = self._first_image(image, size)
        height, width = self._sides("start_from", size)
        _, latent_frames = self._frames("start_from", frames)
        inputs = {"image": image, "seed": self._seed("start_from", seed), "frames": latent_frames}
        outputs = {"latents": self._latent(latent_frames, height, width)}
        return Start(emit("ltx.start_latents", inputs, outputs, model=self.vae)["latents"], None)

    @operation
    def denoise(
        self, latents: Any, text: Any, negative: Any = None, first: None = None, *, steps: Any, guidance: Any
    ) -> Value:
        """Take latents along the schedule of `steps`; of image to video, the first frame stays as it is.

        negative    what not to show; None: the empty text
        first       None: the first frame stands in the latents
        guidance    above 1, every step also asks the model about `negative`, and moves away from it
        """
        latents = self._expect_latents("denoise: latents", latents)
        steps, guidance = self._steps("denoise", steps), self._guidance(guidance)
        text, rows = self._expect_text("denoise: text", text), self._rows(guidance)
        negative = self.encode("") if negative is None else self._expect_text("denoise: negative", negative)
        given = {
            "text": text.hidden, "mask": text.mask, "negative": negative.hidden, "negative_mask": negative.mask,
            "steps": steps, "rows": rows,
        }  # fmt: skip

        def trip(i: Value, **carry: Value) -> dict[str, Value]:
            inputs = {"latents": carry["latents"], "i": i, **given}
            asked = {"velocity": self._velocity(Dim(rows.name), carry["latents"])}
            velocity = emit("ltx.predict", inputs, asked, model=self.transformer, attrs=self._predict_attrs())
            one = {"velocity": self._velocity(1, carry["latents"])}
            guided = emit("guide.cfg", {**velocity, "guidance": guidance, "rows": rows}, one)["velocity"]
            following = self.sampler.step(carry, guided, {"i": i, "steps": steps})
            return following | self._held(following["latents"], carry["latents"])

        carry = {"latents": latents} | self.sampler.remember(latents)
        return counted_loop("denoise", 0, self.sampler.trips(steps), carry, trip)["latents"]

    def _held(self, following: Value, before: Value) -> dict[str, Value]:
        """The carry of a clip whose first frame is given."""
        if not self.from_image:
            return {}
        return emit("ltx.hold", {"latents": following, "before": before}, {"latents": before.type})

    def _predict_attrs(self) -> dict[str, Scalar]:
        """The sampler; how positions in latents relate to seconds and pixels; whether the first frame is given."""
        seconds = self.per_latent / self.frames_per_second
        return self.sampler.attrs | {"seconds": seconds, "pixels": self.over, "holds": self.from_image}

    def _expect_text(self, label: str, given: Any) -> Conditioning:
        if not isinstance(given, Conditioning):
            raise mistake(f"{label}: expected a text, as encode gives it")
        for value, type_ in zip((given.hidden, given.mask), self._text_types(), strict=True):
            expect(label, value, type_)
        return given

    def _text_types(self) -> tuple[Type, Type]:
        hidden = Type("embedding", self.text.id, self.text.dtype, (1, self.text_tokens, self.text_width))
        return hidden, Type("mask", self.text.id, "bool", (1, self.text_tokens))


def _shrinks(vae: Component) -> tuple[int, int]:
    """(pixels per latent, frames per latent frame) of an autoencoder, as its class derives them."""
    halvings = sum(vae.get("spatio_temporal_scaling", list))
    space = vae.config.get("spatial_compression_ratio") or vae.get("patch_size", int) * 2**halvings
    time = vae.config.get("temporal_compression_ratio") or vae.get("patch_size_t", int) * 2**halvings
    return int(space), int(time)
