"""Images that enter a workflow: fitted to a size, started from, painted into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brickwork.graph.ir import Loop
from brickwork.graph.rewrite import definer
from brickwork.graph.types import Dim, Type
from brickwork.workflow.arguments import expect_tensor, fit_image
from brickwork.workflow.lines import mistake
from brickwork.workflow.trace import Value, current, emit, is_unsized

if TYPE_CHECKING:
    from brickwork.models.image.family import ImageFamily


@dataclass(frozen=True)
class Keep:
    """The part of an image that stays while the rest is painted."""

    mask: Value  # mask [1, 1, h, w], 1 where to paint
    original: Value | None = None  # latents of the image and the noise they get: blended in after every step
    noise: Value | None = None
    masked: Value | None = None  # latents of the image without the masked part: seen by the denoiser


@dataclass(frozen=True)
class Start:
    """Where image-to-image or inpainting begins: pass the parts to `denoise`."""

    latents: Value
    step: Value
    keep: Keep | None = None


def fitted_image(label: str, image: Any, sides: tuple[Value, Value] | None) -> Value:
    """An image of this workflow, fitted to (height, width) when they are given."""
    if not isinstance(image, Value) or image.type.space != "image":
        expect_tensor(label, image, "image", "", (1, None, None, 3))
    current(label).check_own(label, image)
    if sides is not None:
        height, width = sides
        image = fit_image(label, image, Type("image", "", "uint8", (1, Dim(height.name), Dim(width.name), 3)))
    elif is_unsized(image):
        raise mistake(f"{label}: the size of {image.name} is open; give a size to resize it to")
    return expect_tensor(label, image, "image", "", (1, None, None, 3))


def is_from_picture(latents: Value) -> bool:
    """True of latents that began as a picture (start_from), however often they were denoised since.

    The reference pipelines let them keep the strides of a picture, channels last, to the end; strides choose the
    convolution, so they are part of the value. Flow matching mixes picture into noise, not noise into picture, and so
    has the noise's strides.
    """
    items = {item.name: item for item in latents.tracer.nodes}
    value = latents.name
    while isinstance(item := items.get(definer(value)), Loop):
        value = next(carry.init for carry in item.carries if f"{item.name}.{carry.name}" == value)
    if item is None or item.op != "latents.start":
        return False
    return "FlowMatch" not in str(dict(item.attrs)["sampler"])


def inpaint_nodes(
    family: ImageFamily, image: Value, inputs: Mapping[str, Value], step: Value, moments_type: Type
) -> Start:
    """The start of inpainting, for denoisers that see the mask and for those that do not.

    inputs      mask (an image), seed, i, steps, strength
    """
    vae, sides = family.space.vae, moments_type.shape[2:]
    latent = family.space.latent(*sides)
    sees_mask = family.in_channels != family.space.channels
    given = dict(inputs) | emit(family.encode_op, {"image": image}, {"moments": moments_type}, model=vae)
    outputs = {"latents": latent, "mask": Type("mask", "", "float32", (1, 1, *sides))}
    if sees_mask:
        both = {"image": image, "mask": inputs["mask"]}
        given["masked_moments"] = emit("vae.encode_masked", both, {"moments": moments_type}, model=vae)["moments"]
        outputs["masked"] = latent
    else:
        outputs |= {"original": latent, "noise": latent}
    attrs = family.sampler.attrs | family.space.attrs | {"strength_1_is_noise": family.strength_1_is_noise}
    made = emit("latents.inpaint", given, outputs, attrs=attrs)
    return Start(made["latents"], step, Keep(made["mask"], made.get("original"), made.get("noise"), made.get("masked")))
