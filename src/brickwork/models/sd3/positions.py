"""How a ControlNet of SD3.5 large enters its pictures: by the base transformer's patches and positions, which its own
directory lacks. As in the stock pipeline they are read from the transformer, and belong to the ControlNet from then on.

source    diffusers SD3ControlNetModel._get_pos_embed_from_transformer
"""

from pathlib import Path
from typing import Any

import torch
from diffusers import SD3Transformer2DModel
from diffusers.models.embeddings import PatchEmbed
from safetensors import safe_open

from brickwork.models.sd3.config import POSITIONS
from brickwork.workflow.components import weight_files


def lend(controlnet: Any, transformer: Path) -> None:
    """Give a loaded ControlNet the positions of the transformer in a directory, in the ControlNet's dtype."""
    config = SD3Transformer2DModel.load_config(transformer, local_files_only=True)
    with torch.device("meta"):  # the table is read, not computed
        embed = PatchEmbed(
            height=config["sample_size"],
            width=config["sample_size"],
            patch_size=config["patch_size"],
            in_channels=config["in_channels"],
            embed_dim=config["num_attention_heads"] * config["attention_head_dim"],
            pos_embed_max_size=config["pos_embed_max_size"],
        )
    embed.load_state_dict({name: tensor.to(controlnet.dtype) for name, tensor in _read(transformer)}, assign=True)
    controlnet.pos_embed = embed.eval()


def _read(transformer: Path) -> Any:
    for file in weight_files(transformer):
        with safe_open(file, framework="pt") as stored:
            names = [name for name in stored.keys() if name.startswith(POSITIONS)]  # noqa: SIM118  no mapping
            yield from ((name.removeprefix(POSITIONS), stored.get_tensor(name)) for name in names)
