"""Every operation by its name in the graph."""

from functools import cache

from brickwork.models import media, noise, sampler, start, text, vae, vision
from brickwork.models.flux import nodes as flux
from brickwork.models.ltx import nodes as ltx
from brickwork.models.ops import Op
from brickwork.models.qwen import nodes as qwen
from brickwork.models.sd3 import nodes as sd3
from brickwork.models.sdxl import nodes as sdxl
from brickwork.models.unet import nodes as unet
from brickwork.models.upscale import nodes as upscale
from brickwork.models.wan import nodes as wan


@cache
def operations() -> dict[str, Op]:
    """Operations of all families. Names are unique: a family's own start with its name."""
    shared = (text, noise, sampler, start, vae, vision, media)
    families = (unet, sdxl, sd3, flux, qwen, upscale, ltx, wan)
    return {name: op for room in (*shared, *families) for name, op in room.OPS.items()}
