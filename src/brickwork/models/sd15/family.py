"""Stable Diffusion 1.x: one CLIP, a UNet, PNDM. See `image/family.py` for what an author may call.

source    diffusers StableDiffusionPipeline and its Img2Img, Inpaint and ControlNet variants
"""

from __future__ import annotations

from pathlib import Path

from brickwork.graph.types import Type
from brickwork.models.image.controls import ControlNet, Residual
from brickwork.models.image.encoders import Conditioning, TextModel, read_clip, read_clip_tokenizer
from brickwork.models.image.family import ImageFamily
from brickwork.models.image.sampling import read_sampler, whole_start
from brickwork.models.image.space import read_space
from brickwork.models.unet import declare
from brickwork.workflow.components import Index
from brickwork.workflow.identity import model_spec
from brickwork.workflow.trace import Value
from brickwork.workflow.variants import CONTROLNET


class SD15Family(ImageFamily):
    """Operations of one Stable Diffusion 1.x directory."""

    steps, guidance = 50, 7.5
    predict_op, lora = "unet.predict", "sd15:unet"
    first_step = staticmethod(whole_start)
    clip: TextModel

    def read(self, root: Path, index: Index) -> None:
        unet = declare.read_unet(root, index, None)
        tokenizer = read_clip_tokenizer(root, index, "tokenizer")
        tokens = tokenizer.get("model_max_length", int)
        self.clip = read_clip(root, index, "text_encoder", "CLIPTextModel", tokenizer, tokens, "sd15")
        self.space = read_space(root, index)
        self.sampler = read_sampler(root, index, declare.SAMPLERS)
        self.denoiser = model_spec("unet", unet)
        self.in_channels = declare.in_channels(unet, self.space)
        self.sizes = declare.sizes_of(unet, self.space)
        declare.check_fit(unet, {"cross_attention_dim": self.clip.width, "out_channels": self.space.channels})

    def text_types(self) -> dict[str, Type]:
        return {"embeds": self.clip.type((1, self.clip.tokens, self.clip.width))}

    def encode_text(self, text: Value, adapters: Value) -> Conditioning:
        return Conditioning({"embeds": self.clip.emit("text.clip_last", text, adapters, "hidden")["hidden"]})

    def read_controlnet(self, root: Path) -> ControlNet:
        variant = self.index.variants.of(CONTROLNET)
        return declare.read_controlnet(root, variant, self.clip.width, dict(self.sampler.attrs), None)

    def residuals(self, net: ControlNet) -> tuple[Residual, ...]:
        return declare.residuals(net)
