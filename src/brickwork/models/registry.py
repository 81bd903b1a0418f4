"""Every operation by its name in the graph."""

from functools import cache

from brickwork.models import media, noise, sampler, text, vae
from brickwork.models.ops import Op
from brickwork.models.sd3 import nodes as sd3


@cache
def operations() -> dict[str, Op]:
    """Operations of all families. Names are unique: a family's own start with its name."""
    return {**text.OPS, **noise.OPS, **sampler.OPS, **vae.OPS, **media.OPS, **sd3.OPS}
