"""Qwen-Image: a language model as text encoder, a transformer over packed latents, a video autoencoder for one frame.

Texts have the length that they have: embeddings are padded to the longest that is possible, with a mask that tells the
real part. Guidance above 1 asks about the negative text in a call of its own and keeps the length of each token.

source    diffusers QwenImagePipeline and its Img2Img, Inpaint and ControlNet variants
"""

from __future__ import annotations

from pathlib import Path

from brickwork.core.errors import ModelError
from brickwork.core.request import Scalar
from brickwork.graph.types import Type
from brickwork.models.image.controls import ControlNet, Residual
from brickwork.models.image.encoders import Conditioning
from brickwork.models.image.family import ImageFamily
from brickwork.models.image.sampling import read_sampler
from brickwork.models.image.space import MAX_SIDE, LatentSpace, Sizes
from brickwork.models.image.tokens import check_packed, control_latents, tokens_type
from brickwork.workflow.components import Index, read_component, read_model
from brickwork.workflow.identity import model_spec
from brickwork.workflow.trace import Value, emit
from brickwork.workflow.variants import CONTROLNET

TEXT_TOKENS = 512
"""The stock pipeline's `max_sequence_length`."""

NATIVE_SIDE = 1328
ENCODERS = ("Qwen2_5_VLForConditionalGeneration",)
TOKENIZERS = ("Qwen2Tokenizer", "Qwen2TokenizerFast")


class QwenFamily(ImageFamily):
    """Operations of one Qwen-Image directory."""

    steps, guidance = 50, 4.0
    predict_op, lora = "qwen.predict", "qwen:transformer"
    guide_op, encode_op, decode_op = "qwen.guide", "qwen.encode", "qwen.decode"
    strength_1_is_noise = False

    def read(self, root: Path, index: Index) -> None:
        encoder = read_component(root, index, "text_encoder", ENCODERS)
        tokenizer = read_component(root, index, "tokenizer", TOKENIZERS)
        self.encoder = model_spec("qwen_text", encoder, tokenizer)
        transformer = read_component(root, index, "transformer", ("QwenImageTransformer2DModel",))
        if transformer.config.get("guidance_embeds"):
            raise ModelError(f"{transformer.directory}: guidance_embeds is True; supported: False.")
        self.width = transformer.get("joint_attention_dim", int)
        self.denoiser = model_spec("qwen_transformer", transformer)
        self.space = _read_space(root, index)
        self.in_channels = check_packed(transformer, self.space)
        self.sampler = read_sampler(
            root, index, ("FlowMatchEulerDiscreteScheduler",), shift_patch=2, linear_sigmas=True
        )
        self.sizes = Sizes((NATIVE_SIDE, NATIVE_SIDE), 2 * self.space.over, MAX_SIDE)

    def text_types(self) -> dict[str, Type]:
        embeds = Type("embedding", self.encoder.id, self.encoder.dtype, (1, TEXT_TOKENS, self.width))
        return {"embeds": embeds, "mask": Type("mask", self.encoder.id, "int64", (1, TEXT_TOKENS))}

    def encode_text(self, text: Value, adapters: Value) -> Conditioning:
        attrs = {"max_length": TEXT_TOKENS}
        return Conditioning(emit("text.qwen", {"text": text}, self.text_types(), model=self.encoder, attrs=attrs))

    def read_controlnet(self, root: Path) -> ControlNet:
        net = read_model(root, ("QwenImageControlNetModel",), self.index.variants.of(CONTROLNET))
        if (extra := net.config.get("extra_condition_channels", 0)) != 0:
            raise ModelError(f"{root}: extra_condition_channels is {extra!r}; supported: 0.")
        for key, wanted in {"in_channels": 4 * self.space.channels, "joint_attention_dim": self.width}.items():
            if (found := net.get(key, int)) != wanted:
                raise ModelError(f"{root}: {key} is {found}, but the base model needs {wanted}.")
        width = net.get("num_attention_heads", int) * net.get("attention_head_dim", int)
        attrs: dict[str, Scalar] = {"blocks": net.get("num_layers", int), "width": width}
        return ControlNet(model_spec("qwen_controlnet", net), "qwen.control", attrs | self.sampler.attrs)

    def control_inputs(
        self, net: ControlNet, picture: Value, rows: Value, before: int, seed: Value
    ) -> dict[str, Value]:
        """Latents of the picture, drawn with the request's seed before its noise (see `noise`, after)."""
        attrs = {"before": before} | self.space.attrs
        return control_latents(self.space, picture, None, seed, attrs, "qwen.control_image")

    def residuals(self, net: ControlNet) -> tuple[Residual, ...]:
        blocks, width = (int(str(net.attrs[key])) for key in ("blocks", "width"))
        return tuple(Residual(f"block_{k}", width, 2) for k in range(blocks))

    def residual_type(self, residual: Residual, dtype: str, rows: Value, latents: Value) -> Type:
        return tokens_type(residual, dtype, 1, latents)


def _read_space(root: Path, index: Index) -> LatentSpace:
    vae = read_component(root, index, "vae", ("AutoencoderKLQwenImage",))
    over = 2 ** len(vae.get("temperal_downsample", list))
    mean, deviation = (tuple(vae.get(f"latents_{which}", list)) for which in ("mean", "std"))
    channels = vae.get("z_dim", int)
    if len(mean) != channels or len(deviation) != channels:
        raise ModelError(f"{vae.directory}: latents_mean and latents_std need {channels} numbers each.")
    return LatentSpace(model_spec("qwen_vae", vae), channels, over, 1.0, 0.0, mean=mean, deviation=deviation)
