"""The example family of docs/guides/new-family.md: T5, a small convolutional denoiser, flow-match Euler.

The guide shows the parts of this file; `tests/unit/models/test_new_family.py` holds the two together and runs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, UNet2DConditionModel

from brickwork.graph.types import Type
from brickwork.models.image.encoders import Conditioning, read_t5
from brickwork.models.image.family import ImageFamily
from brickwork.models.image.sampling import read_sampler
from brickwork.models.image.space import Sizes, read_space
from brickwork.models.ops import Call, Op, Outputs
from brickwork.models.rows import latent_rows, text_rows
from brickwork.models.sampler import timestep
from brickwork.workflow.components import Index, read_component
from brickwork.workflow.identity import model_spec
from brickwork.workflow.trace import Value


class DoodleFamily(ImageFamily):
    """Operations of one Doodle directory."""

    steps, guidance = 20, 4.0
    predict_op, lora = "doodle.predict", "doodle:unet"

    def read(self, root: Path, index: Index) -> None:
        unet = read_component(root, index, "unet", ("UNet2DConditionModel",))
        self.t5 = read_t5(root, index, "text_encoder", "tokenizer", 64, "doodle")
        self.space = read_space(root, index)
        self.sampler = read_sampler(root, index, ("FlowMatchEulerDiscreteScheduler",))
        self.denoiser = model_spec("unet", unet)
        self.in_channels = unet.get("in_channels", int)
        self.sizes = Sizes(native=(64, 64), multiple_of=16, max_side=1024)

    def text_types(self) -> dict[str, Type]:
        return {"embeds": self.t5.type((1, self.t5.tokens, self.t5.width))}

    def encode_text(self, text: Value, adapters: Value) -> Conditioning:
        return Conditioning({"embeds": self.t5.emit("text.t5", text, adapters, "hidden")["hidden"]})


def predict(unet: Any, calls: list[Call]) -> list[Outputs]:
    """-> velocity [rows, c, h, w] each, unconditional row first."""
    rows = calls[0].args["rows"]
    times = [timestep(c.attrs["sampler"], c.args["steps"], c.args["latents"], c.args["i"]).expand(rows) for c in calls]
    velocity = unet(
        torch.cat([latent_rows(call.args, rows) for call in calls]),
        timestep=torch.cat(times),
        encoder_hidden_states=torch.cat([text_rows(call.args, "embeds", rows) for call in calls]),
        return_dict=False,
    )[0]
    return [(part.contiguous(),) for part in velocity.to(torch.float32).split(rows)]


OPS: dict[str, Op] = {"doodle.predict": predict}


def build(directory: Path) -> Path:
    """A tiny random Doodle directory."""
    import json

    from support.tiny.parts import redrawn, t5, t5_tokenizer, vae

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=4, cross_attention_dim=96,
        attention_head_dim=4, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    parts = {
        "unet": redrawn(unet), "text_encoder": t5(), "tokenizer": t5_tokenizer(), "vae": vae(),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=2.0),
    }  # fmt: skip
    index: dict[str, object] = {"_class_name": "DoodlePipeline"}
    for name, part in parts.items():
        part.save_pretrained(directory / name)
        index[name] = [type(part).__module__.partition(".")[0], type(part).__name__]
    (directory / "model_index.json").write_text(json.dumps(index))
    return directory


@torch.no_grad()
def by_hand(directory: Path, prompt: str, seed: int, steps: int, guidance: float) -> torch.Tensor:
    """What the family should compute, as a plain loop over the library's parts: pixels [1, 3, 64, 64]."""
    from transformers import T5EncoderModel, T5TokenizerFast

    unet = UNet2DConditionModel.from_pretrained(directory / "unet")
    encoder = T5EncoderModel.from_pretrained(directory / "text_encoder")
    tokenizer = T5TokenizerFast.from_pretrained(directory / "tokenizer")
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(directory / "scheduler")
    decoder = AutoencoderKL.from_pretrained(directory / "vae")

    def encoded(text: str) -> torch.Tensor:
        length = min(64, tokenizer.model_max_length)
        ids = tokenizer([text], padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids
        return encoder(ids)[0]

    texts = torch.cat([encoded(""), encoded(prompt)])
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(seed))
    scheduler.set_timesteps(steps)
    for when in scheduler.timesteps:
        without, with_text = unet(torch.cat([latents] * 2), when, encoder_hidden_states=texts).sample.chunk(2)
        latents = scheduler.step(without + guidance * (with_text - without), when, latents).prev_sample
    return decoder.decode(latents / decoder.config.scaling_factor).sample
