"""What one more unit of capacity costs, per family: its base model alone, or the whole workflow of a monolith.

A monolith adds capacity for a workflow by loading all its models onto a device; brickwork adds what is short, which
nearly always is the base, since encoders and decoders serve many and ControlNets are small. Seconds are loads from the
host's memory as published; gibibytes are weights.
"""

from dataclasses import dataclass

from brickwork.profile.files import shipped_profile
from brickwork.sim.baselines.costs import GIB, cost
from brickwork.sim.scenario import Part

FAMILIES = {
    "SD1.5": "sd15_controlnet_depth", "SDXL": "sdxl_controlnet_canny", "SD3": "sd3_controlnet_canny",
    "SD3.5-L": "sd35_large_controlnet_canny", "FLUX-schnell": "flux_schnell_controlnet_canny",
    "FLUX-dev": "flux_dev_controlnet_canny",
}  # fmt: skip
"""The workflow with one ControlNet of each."""


@dataclass(frozen=True)
class ScaleOut:
    family: str
    base_s: float
    base_gib: float
    whole_s: float
    whole_gib: float


def scale_out() -> list[ScaleOut]:
    found = []
    for family, workflow in FAMILIES.items():
        what = cost(Part(workflow=workflow), workflow, shipped_profile("h800"), "h800", 2.0)
        _, base_bytes, base_s = max(what.models, key=lambda model: (model[0] in what.stage_models[1], model[1]))
        found.append(ScaleOut(family, base_s, base_bytes / GIB, what.load_s, what.weight_bytes / GIB))
    return found
