"""Qwen-Image: a language model as text encoder, a transformer over packed latents, a video autoencoder for one frame.

Texts have the length that they have: embeddings are padded to the longest that is possible, with a mask that tells the
real part. Guidance above 1 asks about the negative text in a call of its own and keeps the length of each token.

source    diffusers QwenImagePipeline
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from brickwork.core.errors import ModelError
from brickwork.graph.types import Type
from brickwork.models.image.encoders import Conditioning
from brickwork.models.image.family import ImageFamily
from brickwork.models.image.sampling import read_sampler
from brickwork.models.image.space import MAX_SIDE, LatentSpace, Sizes
from brickwork.models.image.tokens import check_packed
from brickwork.workflow.components import Index, read_component
from brickwork.workflow.family import operation
from brickwork.workflow.identity import model_spec
from brickwork.workflow.lines import mistake
from brickwork.workflow.trace import Value, emit

TEXT_TOKENS = 512
"""The stock pipeline's `max_sequence_length`."""

NATIVE_SIDE = 1328
ENCODERS = ("Qwen2_5_VLForConditionalGeneration",)
TOKENIZERS = ("Qwen2Tokenizer", "Qwen2TokenizerFast")


class QwenFamily(ImageFamily):
    """Operations of one Qwen-Image directory."""

    steps, guidance = 50, 4.0
    predict_op, lora = "qwen.predict", "qwen:transformer"
    guide_op, decode_op = "qwen.guide", "qwen.decode"

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

    @operation
    def encode_image(self, image: Any, size: Any = None) -> NoReturn:
        """Not served for this family."""
        raise mistake("encode_image: Qwen-Image is served from text only")

    @operation
    def inpaint_from(self, image: Any, mask: Any, size: Any, seed: Any, steps: Any, strength: Any = 1.0) -> NoReturn:
        """Not served for this family."""
        raise mistake("inpaint_from: Qwen-Image is served from text only")


def _read_space(root: Path, index: Index) -> LatentSpace:
    vae = read_component(root, index, "vae", ("AutoencoderKLQwenImage",))
    over = 2 ** len(vae.get("temperal_downsample", list))
    return LatentSpace(model_spec("qwen_vae", vae), vae.get("z_dim", int), over, 1.0, 0.0)
