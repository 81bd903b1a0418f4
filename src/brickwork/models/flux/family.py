"""Flux: CLIP's pooled output and T5, a transformer over packed latents that is told the guidance, flow-match Euler.

Guidance is an input of the model (dev) or none (schnell). A negative text is asked about, in a call of its own, where
the author gives `true_guidance` above 1.

source    diffusers FluxPipeline and its Img2Img, Inpaint and ControlNet variants
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.core.request import Scalar
from brickwork.graph.types import FLOAT, Type
from brickwork.models.diffusion import MAX_GUIDANCE
from brickwork.models.image.controls import ControlNet, Residual
from brickwork.models.image.encoders import Conditioning, TextModel, read_clip, read_clip_tokenizer, read_t5
from brickwork.models.image.family import ImageFamily
from brickwork.models.image.sampling import read_sampler
from brickwork.models.image.space import MAX_SIDE, Sizes, read_space
from brickwork.models.image.tokens import check_packed, control_latents, tokens_type
from brickwork.workflow.arguments import constrain, expect
from brickwork.workflow.components import Index, read_component, read_model
from brickwork.workflow.identity import model_spec
from brickwork.workflow.trace import Value, constant
from brickwork.workflow.variants import CONTROLNET

T5_TOKENS = 512
"""The stock pipeline's `max_sequence_length`. T5 gets no mask, so the padded length is part of the result."""

NATIVE_SIDE = 1024


class FluxFamily(ImageFamily):
    """Operations of one Flux directory."""

    steps, guidance = 28, 3.5
    predict_op, lora = "flux.predict", "flux:transformer"
    strength_1_is_noise = False
    is_told_guidance = True
    clip: TextModel
    t5: TextModel
    told_guidance: bool

    def read(self, root: Path, index: Index) -> None:
        self.transformer = read_component(root, index, "transformer", ("FluxTransformer2DModel",))
        tokenizer = read_clip_tokenizer(root, index, "tokenizer")
        tokens = tokenizer.get("model_max_length", int)
        self.clip = read_clip(root, index, "text_encoder", "CLIPTextModel", tokenizer, tokens, "flux")
        self.t5 = read_t5(root, index, "text_encoder_2", "tokenizer_2", T5_TOKENS, "flux")
        self.space = read_space(root, index)
        self.sampler = read_sampler(
            root, index, ("FlowMatchEulerDiscreteScheduler",), shift_patch=2, linear_sigmas=True
        )
        self.denoiser = model_spec("flux_transformer", self.transformer)
        self.in_channels = check_packed(self.transformer, self.space)
        self.told_guidance = bool(self.transformer.config.get("guidance_embeds", False))
        self.steps = self.steps if self.told_guidance else 4
        self.sizes = Sizes((NATIVE_SIDE, NATIVE_SIDE), 2 * self.space.over, MAX_SIDE)
        wanted = {"joint_attention_dim": self.t5.width, "pooled_projection_dim": self.clip.pooled}
        for key, value in wanted.items():
            if (found := self.transformer.get(key, int)) != value:
                raise ModelError(f"{self.transformer.directory}: {key} is {found}, but the text encoders give {value}.")

    def text_types(self) -> dict[str, Type]:
        embeds = self.t5.type((1, self.t5.tokens, self.t5.width))
        return {"embeds": embeds, "pooled": self.clip.type((1, self.clip.pooled))}

    def encode_text(self, text: Value, adapters: Value) -> Conditioning:
        pooled = self.clip.emit("text.clip_pooled", text, adapters, "pooled")["pooled"]
        return Conditioning({"embeds": self.t5.emit("text.t5", text, adapters, "hidden")["hidden"], "pooled": pooled})

    def away(self, guidance: Value, true_guidance: Any) -> Value:
        value = expect("denoise: true_guidance", 1.0 if true_guidance is None else true_guidance, FLOAT)
        constrain("denoise: true_guidance", value, minimum=0.0, maximum=MAX_GUIDANCE)
        return value

    def rows(self, guidance: Value) -> Value:
        known = guidance.tracer.consts.get(guidance.name)
        return constant(1) if isinstance(known, float) and known <= 1.0 else super().rows(guidance)

    def predict_inputs(self, guidance: Value) -> dict[str, Value]:
        return {"guidance": guidance}

    def read_controlnet(self, root: Path) -> ControlNet:
        net = read_model(root, ("FluxControlNetModel",), self.index.variants.of(CONTROLNET))
        for option in ("num_mode", "conditioning_embedding_channels"):
            if (found := net.config.get(option)) is not None:
                raise ModelError(f"{root}: {option} is {found!r}; supported: none.")
        width = net.get("num_attention_heads", int) * net.get("attention_head_dim", int)
        attrs: dict[str, Scalar] = {
            "double": net.get("num_layers", int), "single": net.get("num_single_layers", int), "width": width
        }  # fmt: skip
        spec = model_spec("flux_controlnet", net)
        return ControlNet(spec, "flux.control", attrs | self.sampler.attrs)

    def control_inputs(
        self, net: ControlNet, picture: Value, rows: Value, before: int, seed: Value
    ) -> dict[str, Value]:
        """Latents of the picture, drawn with the request's seed before its noise (see `noise`, after)."""
        attrs = {"before": before} | self.space.attrs
        return control_latents(self.space, picture, None, seed, attrs, "vae.control_image")

    def residuals(self, net: ControlNet) -> tuple[Residual, ...]:
        counts, width = {kind: net.attrs[kind] for kind in ("double", "single")}, net.attrs["width"]
        assert isinstance(width, int)
        return tuple(Residual(f"{kind}_{k}", width, 2) for kind, n in counts.items() for k in range(int(str(n))))

    def residual_type(self, residual: Residual, dtype: str, rows: Value, latents: Value) -> Type:
        return tokens_type(residual, dtype, 1, latents)
