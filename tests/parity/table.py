"""What is compared with Diffusers, bit for bit: families down, features across. `docs/models.md` prints this table.

Every cell is a test (`test_families.py`): the workflow through executors in processes of their own, against the stock
pipeline named here, with the same seed. Directories are tiny and random, built once a session from configurations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import brickwork as bw
from parity import reference, workflows
from parity.reference import Reference
from support.tiny import adapters, flux, qwen, sd3, sd15, sdxl, swin2sr

FEATURES = (
    "text to image", "negative text", "image to image", "inpainting", "ControlNet", "two ControlNets", "LoRA",
    "two LoRAs", "refiner", "enlarged latents", "picture upscaled",
)  # fmt: skip

ASK: dict[str, Any] = {"prompt": "a red circle", "seed": 3, "steps": 4, "guidance": 3.0}
STRENGTH = {"strength": 0.6}
LORA_SCALES = (0.8, -0.4)


@dataclass
class Models:
    """Tiny directories below `root`, each built when a cell first asks for it."""

    root: Path
    _built: dict[str, Path] = field(default_factory=dict)

    def get(self, name: str, build: Callable[..., Path], **options: Any) -> Path:
        if name not in self._built:
            self._built[name] = build(self.root / name, **options)
        return self._built[name]

    def adapters(self, name: str, directory: Path, *components: str, seed: int = 0) -> Path:
        """A LoRA file for components of a directory."""
        if name not in self._built:
            parts = {component: _component(directory, component) for component in components}
            self._built[name] = adapters.build(self.root / f"{name}.safetensors", parts, seed)
        return self._built[name]

    @cached_property
    def picture(self) -> Image.Image:
        return Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))

    @cached_property
    def mask(self) -> Image.Image:
        pixels = np.zeros((64, 64, 3), np.uint8)
        pixels[16:40, 8:50] = 255
        return Image.fromarray(pixels)


def _component(directory: Path, name: str) -> Any:
    import json

    import diffusers
    import transformers

    library, class_name = json.loads((directory / "model_index.json").read_text())[name]
    room = {"diffusers": diffusers, "transformers": transformers}[library]
    return getattr(room, class_name).from_pretrained(directory / name, local_files_only=True)


@dataclass(frozen=True)
class Cell:
    """One family with one feature."""

    pipeline: str  # class of the stock pipeline
    workflow: Callable[[Models], bw.Workflow]
    expected: Callable[[Models], Reference]
    inputs: Callable[[Models], dict[str, Any]] = lambda models: {}
    note: str = ""


@dataclass(frozen=True)
class Row:
    """What one family's cells are made of."""

    name: str
    directory: Callable[[Models], Path]
    pipeline: str  # StableDiffusionXL, of StableDiffusionXLPipeline
    call: dict[str, Any] = field(default_factory=dict)  # further arguments of every call of the stock pipeline
    size: dict[str, Any] = field(default_factory=lambda: {"height": 64, "width": 64})
    picture: str = "image"  # the argument of the ControlNet pipeline
    is_drawn_from_seed: bool = False

    def expected(self, models: Models, suffix: str = "", **more: Any) -> Reference:
        ask = {"prompt": ASK["prompt"], "num_inference_steps": ASK["steps"], "guidance_scale": ASK["guidance"]}
        return reference.run(
            f"{self.pipeline}{suffix}Pipeline", self.directory(models), ASK["seed"], **ask | self.call | more
        )


def text_cell(row: Row, note: str = "") -> Cell:
    def expected(models: Models) -> Reference:
        return row.expected(models, **row.size)

    return Cell(
        f"{row.pipeline}Pipeline", lambda m: workflows.text_to_image(row.directory(m)), expected, lambda m: {}, note
    )


def negative_cell(row: Row, is_told: bool = False) -> Cell:
    """is_told: the model is told its guidance, and has another one for the negative text."""
    more = {"true_cfg_scale": workflows.TRUE_GUIDANCE} if is_told else {}

    def expected(models: Models) -> Reference:
        return row.expected(models, negative_prompt="blue", **row.size, **more)

    return Cell(
        f"{row.pipeline}Pipeline", lambda m: workflows.negative(row.directory(m), is_told), expected,
        lambda m: {"negative": "blue"},
    )  # fmt: skip


def image_cell(row: Row) -> Cell:
    size = row.size if row.pipeline not in ("StableDiffusion", "StableDiffusionXL") else {}

    def expected(models: Models) -> Reference:
        return row.expected(models, "Img2Img", image=models.picture, **STRENGTH, **size)

    return Cell(
        f"{row.pipeline}Img2ImgPipeline", lambda m: workflows.image_to_image(row.directory(m)), expected,
        lambda m: {"image": m.picture} | STRENGTH,
    )  # fmt: skip


def inpainting_cell(row: Row, is_decode_wrong: bool = False, note: str = "") -> Cell:
    """is_decode_wrong: the stock pipeline's picture lacks the shift of the latents; its latents are decoded for it."""

    def expected(models: Models) -> Reference:
        given = row.expected(models, "Inpaint", image=models.picture, mask_image=models.mask, **STRENGTH, **row.size)
        if not is_decode_wrong:
            return given
        return Reference(given.latents, reference.decoded(row.directory(models), given.latents))

    return Cell(
        f"{row.pipeline}InpaintPipeline", lambda m: workflows.inpainting(row.directory(m)), expected,
        lambda m: {"image": m.picture, "mask": m.mask} | STRENGTH, note,
    )  # fmt: skip


def control_cell(row: Row, nets: tuple[Callable[[Models], Path], ...], net_class: str, note: str = "") -> Cell:
    def expected(models: Models) -> Reference:
        import diffusers

        loaded = [getattr(diffusers, net_class).from_pretrained(net(models)) for net in nets]
        pictures, scales, ends = [models.picture] * len(nets), list(workflows.SCALES[: len(nets)]), [workflows.END]
        if row.pipeline == "QwenImage" and len(nets) > 1:
            loaded = diffusers.QwenImageMultiControlNetModel(loaded[:1])  # one net for several pictures is all it takes
        given = (loaded[0], pictures[0], scales[0], workflows.END) if len(nets) == 1 else (
            loaded, pictures, scales, ends * len(nets)
        )  # fmt: skip
        return row.expected(
            models, "ControlNet", parts={"controlnet": given[0]}, **{row.picture: given[1]},
            controlnet_conditioning_scale=given[2], control_guidance_end=given[3], **row.size,
        )  # fmt: skip

    def workflow(models: Models) -> bw.Workflow:
        paths = [net(models) for net in nets]
        return workflows.controlled(row.directory(models), paths, row.is_drawn_from_seed)

    return Cell(f"{row.pipeline}ControlNetPipeline", workflow, expected, lambda m: {"edges": m.picture}, note)


def lora_cell(row: Row, count: int, *components: str) -> Cell:
    def files(models: Models) -> list[tuple[Path, float]]:
        given = row.directory(models)
        names = [f"{row.pipeline}-lora-{k}" for k in range(count)]
        paths = [models.adapters(name, given, *components, seed=k) for k, name in enumerate(names)]
        return list(zip(paths, LORA_SCALES, strict=False))

    def expected(models: Models) -> Reference:
        return row.expected(models, loras=files(models), **row.size)

    return Cell(
        f"{row.pipeline}Pipeline", lambda m: workflows.text_to_image(row.directory(m), files(m)), expected
    )  # fmt: skip


def enlarged_cell(row: Row) -> Cell:
    """The stock image-to-image pipelines take latents in place of a picture."""
    size = {side: 2 * pixels for side, pixels in row.size.items()}

    def expected(models: Models) -> Reference:
        small = row.expected(models, **row.size).latents
        large = torch.nn.functional.interpolate(small, scale_factor=2, mode="nearest")
        takes_size = row.pipeline not in ("StableDiffusion", "StableDiffusionXL")
        return row.expected(models, "Img2Img", image=large, **STRENGTH, **(size if takes_size else {}))

    return Cell(
        f"{row.pipeline}Img2ImgPipeline", lambda m: workflows.enlarged(row.directory(m)), expected, lambda m: STRENGTH
    )  # fmt: skip


SD15 = Row("SD 1.5", lambda m: m.get("sd15", sd15.build), "StableDiffusion")
SD15_INPAINT = Row("SD 1.5", lambda m: m.get("sd15-9", sd15.build, in_channels=9), "StableDiffusion")
SDXL = Row("SDXL", lambda m: m.get("sdxl", sdxl.build), "StableDiffusionXL")
SDXL_INPAINT = Row("SDXL", lambda m: m.get("sdxl-9", sdxl.build, in_channels=9), "StableDiffusionXL")
_SD3: dict[str, Any] = {"max_sequence_length": 11}
SD3 = Row("SD3, SD3.5", lambda m: m.get("sd3", sd3.build), "StableDiffusion3", _SD3, picture="control_image")
SD3_16 = Row("SD3, SD3.5", lambda m: m.get("sd3-16", sd3.build, channels=16), "StableDiffusion3", _SD3)
SD35 = Row(  # as SD3.5 medium
    "SD3.5 with dual attention",
    lambda m: m.get("sd35", sd3.build, dual=(0,)),
    "StableDiffusion3",
    _SD3,
    picture="control_image",
)
SD3_BARE = Row(
    "SD3 without T5", lambda m: m.get("sd3-bare", sd3.build, with_t5=False), "StableDiffusion3",
    {"parts": {"text_encoder_3": None, "tokenizer_3": None}},
)  # fmt: skip
FLUX = Row(
    "Flux dev", lambda m: m.get("flux", flux.build), "Flux", _SD3, picture="control_image", is_drawn_from_seed=True
)
QWEN = Row(
    "Qwen-Image", lambda m: m.get("qwen", qwen.build), "QwenImage", {"true_cfg_scale": 3.0, "negative_prompt": ""},
    picture="control_image", is_drawn_from_seed=True,
)  # fmt: skip
SCHNELL = Row("Flux schnell", lambda m: m.get("schnell", flux.build, is_dev=False), "Flux", _SD3)


def _nets(*names_and_builds: tuple[str, Callable[..., Path], dict[str, Any]]) -> tuple[Callable[[Models], Path], ...]:
    return tuple(lambda m, n=n, b=b, o=o: m.get(n, b, **o) for n, b, o in names_and_builds)


NETS15 = _nets(("c15", sd15.build_controlnet, {}), ("c15b", sd15.build_controlnet, {"seed": 5}))
NETSXL = _nets(("cxl", sdxl.build_controlnet, {}), ("cxlb", sdxl.build_controlnet, {"seed": 5}))
NETS3 = _nets(
    ("c3", sd3.build_controlnet, {}), ("c3b", sd3.build_controlnet, {"seed": 5}),
    ("c3text", sd3.build_controlnet, {"force_zeros_for_pooled_projection": False}),
)  # fmt: skip
NETS35 = _nets(("c35", sd3.build_controlnet, sd3.SHARING))
NETSQ = _nets(("cq", qwen.build_controlnet, {}), ("cq", qwen.build_controlnet, {}))
NETSF = _nets(("cf", flux.build_controlnet, {}), ("cfb", flux.build_controlnet, {"seed": 5}))


def _refined() -> Cell:
    share = 0.8

    def expected(models: Models) -> Reference:
        base = SDXL.expected(models, denoising_end=share, **SDXL.size)
        refiner = Row("", refiner_of, "StableDiffusionXL")
        return refiner.expected(models, "Img2Img", image=base.latents, denoising_start=share)

    def refiner_of(models: Models) -> Path:
        return models.get("refiner", sdxl.build_refiner, base=SDXL.directory(models))

    return Cell(
        "StableDiffusionXLPipeline, then StableDiffusionXLImg2ImgPipeline",
        lambda m: workflows.refined(SDXL.directory(m), refiner_of(m), share), expected,
    )  # fmt: skip


def _upscaled() -> Cell:
    def upscaler_of(models: Models) -> Path:
        return models.get("swin2sr", swin2sr.build)

    def expected(models: Models) -> Reference:
        small = SD15.expected(models, **SD15.size)
        return Reference(small.latents, reference.upscaled(upscaler_of(models), small.image))

    return Cell(
        "StableDiffusionPipeline, then transformers' Swin2SRForImageSuperResolution",
        lambda m: workflows.upscaled(SD15.directory(m), upscaler_of(m)), expected,
    )  # fmt: skip


_SHIFT = "the stock pipeline forgets the latents' shift when it decodes; its latents are compared, and decoded with it"
_UNION = "the stock pipeline takes several pictures for one ControlNet, and that is compared"
_GLOBAL = "the stock pipeline draws from torch's global generator, which is seeded for the comparison"
_BORROWED = (
    "again from the global generator; this ControlNet borrows the transformer's positions, as those of SD3.5 large do"
)

CELLS: dict[tuple[str, str], Cell] = {
    ("SD 1.5", "text to image"): text_cell(SD15),
    ("SD 1.5", "negative text"): negative_cell(SD15),
    ("SD 1.5", "image to image"): image_cell(SD15),
    ("SD 1.5", "inpainting"): inpainting_cell(SD15),
    ("SD 1.5 inpainting", "inpainting"): inpainting_cell(SD15_INPAINT),
    ("SD 1.5", "ControlNet"): control_cell(SD15, NETS15[:1], "ControlNetModel"),
    ("SD 1.5", "two ControlNets"): control_cell(SD15, NETS15, "ControlNetModel"),
    ("SD 1.5", "LoRA"): lora_cell(SD15, 1, "unet", "text_encoder"),
    ("SD 1.5", "two LoRAs"): lora_cell(SD15, 2, "unet", "text_encoder"),
    ("SD 1.5", "enlarged latents"): enlarged_cell(SD15),
    ("SDXL", "text to image"): text_cell(SDXL),
    ("SDXL", "negative text"): negative_cell(SDXL),
    ("SDXL", "image to image"): image_cell(SDXL),
    ("SDXL", "inpainting"): inpainting_cell(SDXL),
    ("SDXL inpainting", "inpainting"): inpainting_cell(SDXL_INPAINT),
    ("SDXL", "ControlNet"): control_cell(SDXL, NETSXL[:1], "ControlNetModel"),
    ("SDXL", "two ControlNets"): control_cell(SDXL, NETSXL, "ControlNetModel"),
    ("SDXL", "LoRA"): lora_cell(SDXL, 1, "unet", "text_encoder", "text_encoder_2"),
    ("SDXL", "two LoRAs"): lora_cell(SDXL, 2, "unet", "text_encoder", "text_encoder_2"),
    ("SDXL", "enlarged latents"): enlarged_cell(SDXL),
    ("SDXL", "refiner"): _refined(),
    ("SD3, SD3.5", "text to image"): text_cell(SD3),
    ("SD3, SD3.5", "negative text"): negative_cell(SD3),
    ("SD3, SD3.5", "image to image"): image_cell(SD3),
    ("SD3, SD3.5", "inpainting"): inpainting_cell(SD3_16, True, _SHIFT),
    ("SD3, SD3.5", "ControlNet"): control_cell(SD3, NETS3[2:], "SD3ControlNetModel", _GLOBAL),
    ("SD3, SD3.5", "two ControlNets"): control_cell(SD3, NETS3[:2], "SD3ControlNetModel", _GLOBAL),
    ("SD3, SD3.5", "LoRA"): lora_cell(SD3, 1, "transformer", "text_encoder"),
    ("SD3, SD3.5", "two LoRAs"): lora_cell(SD3, 2, "transformer", "text_encoder"),
    ("SD3, SD3.5", "enlarged latents"): enlarged_cell(SD3),
    ("SD3.5 with dual attention", "text to image"): text_cell(SD35),
    ("SD3.5 with dual attention", "ControlNet"): control_cell(SD35, NETS35, "SD3ControlNetModel", _BORROWED),
    ("SD3 without T5", "text to image"): text_cell(SD3_BARE),
    ("Flux dev", "text to image"): text_cell(FLUX),
    ("Flux dev", "negative text"): negative_cell(FLUX, is_told=True),
    ("Flux dev", "image to image"): image_cell(FLUX),
    ("Flux dev", "inpainting"): inpainting_cell(FLUX),
    ("Flux dev", "ControlNet"): control_cell(FLUX, NETSF[:1], "FluxControlNetModel"),
    ("Flux dev", "two ControlNets"): control_cell(FLUX, NETSF, "FluxControlNetModel"),
    ("Flux dev", "LoRA"): lora_cell(FLUX, 1, "transformer", "text_encoder"),
    ("Flux dev", "two LoRAs"): lora_cell(FLUX, 2, "transformer", "text_encoder"),
    ("Flux dev", "enlarged latents"): enlarged_cell(FLUX),
    ("Flux schnell", "text to image"): text_cell(SCHNELL),
    ("Qwen-Image", "text to image"): text_cell(QWEN),
    ("Qwen-Image", "negative text"): negative_cell(QWEN),
    ("Qwen-Image", "image to image"): image_cell(QWEN),
    ("Qwen-Image", "inpainting"): inpainting_cell(QWEN),
    ("Qwen-Image", "ControlNet"): control_cell(QWEN, NETSQ[:1], "QwenImageControlNetModel"),
    ("Qwen-Image", "two ControlNets"): control_cell(QWEN, NETSQ, "QwenImageControlNetModel", _UNION),
    ("Qwen-Image", "LoRA"): lora_cell(QWEN, 1, "transformer"),
    ("Qwen-Image", "enlarged latents"): enlarged_cell(QWEN),
    ("Swin2SR", "picture upscaled"): _upscaled(),
}
"""A pair that is missing here is one that the family has not, or that is not served."""
