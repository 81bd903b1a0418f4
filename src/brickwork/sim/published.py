"""Published workflows as Plans: known models with their published sizes, without torch and without weights.

A workflow is encode -> denoise (a loop; ControlNets stand in it) -> decode. Equal models have equal ids whatever
workflow names them, so that what a compiler would share is shared here too. `name@weights` is the same workflow with
base weights of its own, `name+lora` one whose request brings an adapter.

source    steps and guidance: DiFlow artifact (commit 746eeb5); weights: its loading table; Wan2.1: its model card
"""

from dataclasses import dataclass, replace

from brickwork.compiler.plan import Plan, PlanTask, Program, ProgramId, Role, Work
from brickwork.core.errors import BrickworkError
from brickwork.core.ids import ModelId, PlanId
from brickwork.core.model import ModelSpec
from brickwork.core.request import Scalar
from brickwork.graph.ir import Input
from brickwork.graph.types import INT, TEXT, Dim, Type

GIB = 1 << 30

WEIGHTS_GIB = {
    "CLIP_Flux": 0.2357,
    "CLIP_G": 2.651,
    "CLIP_L": 0.4606,
    "CLIP_SD15": 0.2357,
    "CLIP_SDXL_1": 0.4584,
    "CLIP_SDXL_2": 1.2939,
    "Flux1Dev": 22.1681,
    "Flux1DevControlNetCanny": 1.3855,
    "Flux1DevControlNetDepth": 1.3855,
    "Flux1Schnell": 22.1491,
    "Flux1VAE": 0.1613,
    "StableDiffusion15": 1.6135,
    "StableDiffusion15ControlNetCanny": 0.6778,
    "StableDiffusion15ControlNetDepth": 0.6786,
    "StableDiffusion15VAE": 0.161,
    "StableDiffusion3": 3.9294,
    "StableDiffusion35Large": 15.5395,
    "StableDiffusion35LargeControlNetCanny": 4.2845,
    "StableDiffusion35LargeControlNetDepth": 4.2845,
    "StableDiffusion35LargeVAE": 0.1613,
    "StableDiffusion3ControlNetCanny": 1.1208,
    "StableDiffusion3ControlNetPose": 1.1232,
    "StableDiffusion3VAE": 0.1613,
    "StableDiffusionXL": 4.8832,
    "StableDiffusionXLControlNetCanny": 2.3801,
    "StableDiffusionXLControlNetDepth": 2.38,
    "StableDiffusionXLVAE": 0.161,
    "T5": 10.7465,
    "T5_Flux": 8.8715,
    "WanEncoders": 10.15,  # umT5-XXL 9.4 GB, CLIP ViT-H 1.3 GB, VAE encoder 0.2 GB
    "WanI2V14B": 26.1,  # 28.0 GB
    "WanVAE": 0.19,
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a published workflow is made of."""

    name: str
    base: str
    encoders: tuple[str, ...]
    vae: str
    controls: tuple[str, ...] = ()
    steps: int = 50
    guidance: bool = True
    size_px: tuple[int, int] = (1024, 1024)
    latent: tuple[int, ...] = (16,)  # channels, and frames of a video
    weights: str = ""  # tag of base weights of their own
    has_lora: bool = False


_CLIPS_SDXL = ("CLIP_SDXL_1", "CLIP_SDXL_2")
_TEXT_SD3 = ("CLIP_L", "CLIP_G", "T5")
_TEXT_FLUX = ("CLIP_Flux", "T5_Flux")


def _family(
    prefix: str, plain: Recipe, controls: dict[str, tuple[str, ...]], steps: int | None = None
) -> dict[str, Recipe]:
    """The plain workflow `prefix_t2i` and one for each set of ControlNets."""
    made = {f"{prefix}_t2i": replace(plain, name=f"{prefix}_t2i")}
    for suffix, models in controls.items():
        name = f"{prefix}_{suffix}"
        made[name] = replace(plain, name=name, controls=models, steps=steps or plain.steps)
    return made


def _controlnets(base: str, *kinds: str) -> dict[str, tuple[str, ...]]:
    return {f"controlnet_{kind}": (f"{base}ControlNet{kind.capitalize()}",) for kind in kinds}


def _recipes() -> dict[str, Recipe]:
    sdxl = "StableDiffusionXL"
    both = {"two_controlnets": (f"{sdxl}ControlNetCanny", f"{sdxl}ControlNetDepth")}
    flux = _controlnets("Flux1Dev", "canny", "depth")
    sd15 = Recipe("", "StableDiffusion15", ("CLIP_SD15",), "StableDiffusion15VAE", size_px=(512, 512), latent=(4,))
    wan = Recipe("", "WanI2V14B", ("WanEncoders",), "WanVAE", steps=40, size_px=(480, 832), latent=(16, 21))
    return {
        **_family("sd15", sd15, _controlnets("StableDiffusion15", "depth"), steps=20),
        **_family(
            "sdxl",
            Recipe("", sdxl, _CLIPS_SDXL, f"{sdxl}VAE", latent=(4,)),
            _controlnets(sdxl, "canny", "depth") | both,
        ),
        **_family(
            "sd3",
            Recipe("", "StableDiffusion3", _TEXT_SD3, "StableDiffusion3VAE", steps=28),
            _controlnets("StableDiffusion3", "canny", "pose"),
        ),
        **_family(
            "sd35_large",
            Recipe("", "StableDiffusion35Large", _TEXT_SD3, "StableDiffusion35LargeVAE", steps=28),
            _controlnets("StableDiffusion35Large", "canny", "depth"),
            steps=40,
        ),
        **_family("flux_dev", Recipe("", "Flux1Dev", _TEXT_FLUX, "Flux1VAE"), flux),
        **_family("flux_schnell", Recipe("", "Flux1Schnell", _TEXT_FLUX, "Flux1VAE", steps=4), flux),
        "wan21_i2v_480p": replace(wan, name="wan21_i2v_480p"),
        "wan21_i2v_480p_4step": replace(wan, name="wan21_i2v_480p_4step", steps=4, guidance=False),
        "wan21_i2v_720p": replace(wan, name="wan21_i2v_720p", size_px=(720, 1280)),
    }


RECIPES: dict[str, Recipe] = _recipes()


def recipe(name: str) -> Recipe:
    """A published workflow by name, `name@weights` or `name+lora`. raises BrickworkError for an unknown name"""
    plain, plus, lora = name.partition("+")
    base, _, weights = plain.partition("@")
    if base not in RECIPES or (plus and lora != "lora"):
        raise BrickworkError(f"{name!r} is not a published workflow; there are: {', '.join(RECIPES)}.")
    return replace(RECIPES[base], name=name, weights=weights, has_lora=bool(plus))


def plan(what: Recipe) -> Plan:
    """The workflow as control sees it; its one int input is `steps`, its size is fixed."""
    models = {name: _model(name, what) for name in (*what.encoders, what.base, *what.controls, what.vae)}
    encode, denoise, decode = _encode(what, models), _denoise(what, models), _decode(what, models)
    tasks = (
        PlanTask("encode", encode.id, ("prompt",), ("encode.out",), (), ()),
        PlanTask("denoise", denoise.id, ("encode.out", "start", "steps"), ("latents",), ("encode",), ("encode.out",)),
        PlanTask("decode", decode.id, ("latents",), ("image",), ("denoise",), ("latents",)),
    )
    return Plan(
        id=PlanId(f"{what.name} {what.size_px} {what.guidance}"),
        workflow=what.name,
        inputs=(Input("prompt", TEXT), Input("start", INT, default=0), Input("steps", INT, default=what.steps)),
        scalars=(),
        tasks=tasks,
        programs=tuple(sorted((encode, denoise, decode), key=lambda program: program.id)),
        models=tuple(sorted(models.values(), key=lambda model: model.id)),
        outputs=(("image", "image"),),
    )


def values(what: Recipe) -> tuple[tuple[str, Scalar], ...]:
    """The scalar inputs of one request."""
    return (("prompt", ""), ("start", 0), ("steps", what.steps))


def _model(name: str, what: Recipe) -> ModelSpec:
    own = f"@{what.weights}" if what.weights and name == what.base else ""
    weight_bytes = int(WEIGHTS_GIB[name] * GIB)
    return ModelSpec(ModelId(f"{name}{own}"), f"published.{name}", "", "bfloat16", weight_bytes, name)


def _latent(what: Recipe) -> tuple[int | Dim, ...]:
    height, width = what.size_px
    return (*what.latent, height // 8, width // 8)


def _rows(what: Recipe) -> int:
    return 2 if what.guidance else 1


def _encode(what: Recipe, models: dict[str, ModelSpec]) -> Program:
    context = Type("embedding", what.encoders[-1], "bfloat16", (_rows(what), 512, 4096))
    ids = tuple(models[name].id for name in what.encoders)
    work = tuple(Work(f"{name}/encode", Type("text"), _rows(what), None) for name in what.encoders)
    program = ProgramId(f"encode {' '.join(ids)} {_rows(what)}")
    return Program(program, (("p0", TEXT),), (), (("out", context),), ids, (), work)


def _denoise(what: Recipe, models: dict[str, ModelSpec]) -> Program:
    """The loop. Guidance is two rows of one call; a LoRA's load and merge is work once before the loop."""
    latent = Type("latent", what.vae, "bfloat16", _latent(what))
    context = Type("embedding", what.encoders[-1], "bfloat16", (_rows(what), 512, 4096))
    names = (what.base, *what.controls)
    ids = tuple(models[name].id for name in names)
    steps = tuple(Work(f"{name}/denoise", latent, _rows(what), ("p1", "p2")) for name in names)
    adapter = (Work("LoRA/merge", Type("text"), 1, None),) if what.has_lora else ()
    roles = (Role("base", ids[:1], ("predict",)), *(Role("auxiliary", (model,), (model,)) for model in ids[1:]))
    return Program(
        id=ProgramId(f"denoise {' '.join(ids)} {_latent(what)} {_rows(what)}{' lora' if adapter else ''}"),
        params=(("p0", context), ("p1", INT), ("p2", INT)),
        body=(),
        results=(("out", latent),),
        models=ids,
        roles=roles,
        work=(*adapter, *steps),
    )


def _decode(what: Recipe, models: dict[str, ModelSpec]) -> Program:
    latent = Type("latent", what.vae, "bfloat16", _latent(what))
    image = Type("image", "", "uint8", (3, *what.latent[1:], *what.size_px))
    work = (Work(f"{what.vae}/decode", latent, 1, None),)
    program = ProgramId(f"decode {what.vae} {_latent(what)}")
    return Program(program, (("p0", latent),), (), (("out", image),), (models[what.vae].id,), (), work)
