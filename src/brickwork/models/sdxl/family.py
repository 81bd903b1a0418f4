"""Stable Diffusion XL: two CLIPs, a UNet that is told the picture's size, Euler; and its refiner, with one CLIP.

    text = sdxl.encode(prompt)                                    refiner = bw.family(".../sdxl-refiner")
    switch = sdxl.switch(steps, 0.8)
    latents = sdxl.denoise(sdxl.noise(seed, size), text, steps=steps, guidance=5.0, stop=switch)
    latents = refiner.denoise(latents, refiner.encode(prompt), steps=steps, guidance=5.0, start=switch)

source    diffusers StableDiffusionXLPipeline and its Img2Img, Inpaint and ControlNet variants
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.core.request import Scalar
from brickwork.graph.types import INT, Type
from brickwork.models.image.controls import ControlNet, Residual
from brickwork.models.image.encoders import Conditioning, TextModel, read_clip, read_clip_tokenizer
from brickwork.models.image.family import ImageFamily
from brickwork.models.image.sampling import read_sampler, whole_start
from brickwork.models.image.space import read_space
from brickwork.models.unet import declare
from brickwork.workflow.arguments import expect
from brickwork.workflow.components import Index, is_listed
from brickwork.workflow.family import operation
from brickwork.workflow.identity import joint_owner, model_spec
from brickwork.workflow.trace import Value, emit
from brickwork.workflow.variants import CONTROLNET, widest

SCORE, NEGATIVE_SCORE = 6.0, 2.5
"""How beautiful pictures are that a refiner learned from: defaults of the stock pipeline."""


class SDXLFamily(ImageFamily):
    """Operations of one SDXL directory, base or refiner."""

    steps, guidance = 50, 5.0
    predict_op, lora = "unet.predict", "sdxl:unet"
    first_step = staticmethod(whole_start)
    clip_1: TextModel | None  # a refiner has none
    clip_2: TextModel
    is_refiner: bool
    zero_negative: bool  # an empty negative text is zeros, not the encoding of ""

    def read(self, root: Path, index: Index) -> None:
        unet = declare.read_unet(root, index, "text_time")
        self._read_texts(root, index)
        self.space = read_space(root, index)
        self.sampler = read_sampler(root, index, declare.SAMPLERS)
        self.denoiser = model_spec("unet", unet)
        self.in_channels = declare.in_channels(unet, self.space)
        self.sizes = declare.sizes_of(unet, self.space)
        self.is_refiner = bool(index.get("requires_aesthetics_score", False))
        self.zero_negative = bool(index.get("force_zeros_for_empty_prompt", True))
        numbers = 5 if self.is_refiner else 6
        fit = {
            "cross_attention_dim": self._width,
            "out_channels": self.space.channels,
            "projection_class_embeddings_input_dim": self.clip_2.pooled
            + numbers * unet.get("addition_time_embed_dim", int),
        }
        declare.check_fit(unet, fit)

    def _read_texts(self, root: Path, index: Index) -> None:
        second = read_clip_tokenizer(root, index, "tokenizer_2")
        tokens = second.get("model_max_length", int)
        self.clip_1 = None
        if is_listed(index, "text_encoder"):
            first = read_clip_tokenizer(root, index, "tokenizer")
            self.clip_1 = read_clip(root, index, "text_encoder", "CLIPTextModel", first, tokens, "sdxl")
            if first.get("model_max_length", int) != tokens:
                raise ModelError(f"{root}: its tokenizers have different lengths; supported: the same.")
        projected = "CLIPTextModelWithProjection"
        self.clip_2 = read_clip(root, index, "text_encoder_2", projected, second, tokens, "sdxl")

    @property
    def _width(self) -> int:
        return self.clip_2.width + (self.clip_1.width if self.clip_1 else 0)

    def text_types(self) -> dict[str, Type]:
        encoders = [model.spec for model in (self.clip_1, self.clip_2) if model is not None]
        owner, pooled = joint_owner(encoders), (1, self.clip_2.pooled)
        embeds = Type("embedding", owner, widest(encoders), (1, self.clip_2.tokens, self._width))
        return {"embeds": embeds, "pooled": Type("embedding", owner, self.clip_2.spec.dtype, pooled)}

    def encode_text(self, text: Value, adapters: Value) -> Conditioning:
        inputs: dict[str, Value] = {}
        if self.clip_1 is not None:
            inputs["clip_1"] = self.clip_1.emit("text.clip_inner", text, adapters, "hidden")["hidden"]
        second = self.clip_2.emit("text.clip", text, adapters, "hidden", "pooled")
        inputs |= {"clip_2": second["hidden"], "pooled": second["pooled"]}
        return Conditioning(emit("sdxl.join", inputs, self.text_types()))

    def empty_text(self, adapters: Value) -> Conditioning:
        if not self.zero_negative:
            return super().empty_text(adapters)
        types = self.text_types()
        attrs: dict[str, Scalar] = {
            "tokens": self.clip_2.tokens, "width": self._width, "pooled": self.clip_2.pooled,
            "dtype": types["embeds"].dtype, "pooled_dtype": types["pooled"].dtype,
        }  # fmt: skip
        return Conditioning(emit("sdxl.empty", {}, types, attrs=attrs))

    def predict_attrs(self) -> dict[str, Scalar]:
        scores: dict[str, Scalar] = {"score": SCORE, "negative_score": NEGATIVE_SCORE} if self.is_refiner else {}
        return {"over": self.space.over} | scores

    @operation
    def switch(self, steps: Any, share: float = 0.8) -> Value:
        """The step at which a base model hands its latents to a refiner: `stop` of the one, `start` of the other."""
        return self.sampler.switch(expect("switch: steps", steps, INT), share)

    def read_controlnet(self, root: Path) -> ControlNet:
        variant, attrs = self.index.variants.of(CONTROLNET), self.sampler.attrs | self.predict_attrs()
        return declare.read_controlnet(root, variant, self._width, attrs, "text_time")

    def residuals(self, net: ControlNet) -> tuple[Residual, ...]:
        return declare.residuals(net)
