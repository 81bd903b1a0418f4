"""Stable Diffusion 3 and 3.5: two CLIPs and perhaps T5, a transformer, flow-match Euler.

    encode -> text.clip, text.clip, text.t5, sd3.join       see `image/family.py` for what else an author may call

source    diffusers StableDiffusion3Pipeline and its Img2Img, Inpaint and ControlNet variants
"""

from __future__ import annotations

from pathlib import Path

from brickwork.graph.types import Dim, Type
from brickwork.models.image.controls import ControlNet, Residual
from brickwork.models.image.encoders import Conditioning
from brickwork.models.image.family import ImageFamily
from brickwork.models.image.sampling import read_sampler
from brickwork.models.image.space import read_space
from brickwork.models.image.tokens import control_latents, tokens_type
from brickwork.models.sd3 import config
from brickwork.workflow.components import Index, read_component
from brickwork.workflow.identity import joint_owner, model_spec
from brickwork.workflow.trace import Value, emit
from brickwork.workflow.variants import CONTROLNET, widest


class SD3Family(ImageFamily):
    """Operations of one SD3 directory."""

    steps, guidance = 28, 7.0
    predict_op, lora = "sd3.predict", "sd3:transformer"

    def read(self, root: Path, index: Index) -> None:
        self.transformer = read_component(root, index, "transformer", ("SD3Transformer2DModel",))
        self.clip_1, self.clip_2, self.t5 = config.read_encoders(root, index)
        self.space = read_space(root, index)
        patch = self.transformer.get("patch_size", int)
        self.sampler = read_sampler(root, index, ("FlowMatchEulerDiscreteScheduler",), shift_patch=patch)
        self.denoiser = config.with_preview(model_spec("sd3_transformer", self.transformer), self.transformer.directory)
        self.in_channels = self.transformer.get("in_channels", int)
        self.sizes = config.sizes_of(self.transformer, self.space)
        config.check_fit(self.transformer, self.space, self.clip_1, self.clip_2, self.t5)

    def text_types(self) -> dict[str, Type]:
        """The joint embeddings belong to the encoders together, not to the transformer."""
        encoders = [model.spec for model in (self.clip_1, self.clip_2, self.t5) if model is not None]
        owner, width = joint_owner(encoders), self.transformer.get("joint_attention_dim", int)
        tokens = self.clip_1.tokens + (self.t5.tokens if self.t5 else config.T5_TOKENS)
        pooled = self.clip_1.pooled + self.clip_2.pooled
        embeds = Type("embedding", owner, widest(encoders), (1, tokens, width))
        joined = widest([self.clip_1.spec, self.clip_2.spec])
        return {"embeds": embeds, "pooled": Type("embedding", owner, joined, (1, pooled))}

    def encode_text(self, text: Value, adapters: Value) -> Conditioning:
        inputs: dict[str, Value] = {}
        for k, clip in enumerate((self.clip_1, self.clip_2), start=1):
            found = clip.emit("text.clip", text, adapters, "hidden", "pooled")
            inputs |= {f"clip_{k}": found["hidden"], f"pooled_{k}": found["pooled"]}
        if self.t5 is not None:
            inputs["t5"] = self.t5.emit("text.t5", text, adapters, "hidden")["hidden"]
        types = self.text_types()
        zeros = {"tokens": config.T5_TOKENS, "width": self.transformer.get("joint_attention_dim", int)}
        return Conditioning(emit("sd3.join", inputs, types, attrs={} if self.t5 else zeros))

    def read_controlnet(self, root: Path) -> ControlNet:
        attrs = self.sampler.attrs | {"channels_last": self.space.turns_channels_last}
        return config.read_controlnet(root, self.index.variants.of(CONTROLNET), self.transformer, attrs)

    def control_inputs(
        self, net: ControlNet, picture: Value, rows: Value, before: int, seed: Value
    ) -> dict[str, Value]:
        """Latents of the picture for every row, drawn once, with a seed of their own: the reference draws them from
        torch's global generator, so it gives the same picture twice only when that is seeded.
        """
        attrs = self.space.attrs | {"before": before} | ({"shift_factor": 0.0} if net.attrs["zero_pooled"] else {})
        return control_latents(self.space, picture, rows, seed, attrs, "vae.control_image")

    def residuals(self, net: ControlNet) -> tuple[Residual, ...]:
        blocks, width, patch = (int(net.attrs[key]) for key in ("blocks", "width", "patch"))  # type: ignore[arg-type]
        return tuple(Residual(f"block_{k}", width, patch) for k in range(blocks))

    def residual_type(self, residual: Residual, dtype: str, rows: Value, latents: Value) -> Type:
        return tokens_type(residual, dtype, Dim(rows.name), latents)
