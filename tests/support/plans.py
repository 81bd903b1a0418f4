"""Small Plans made by hand, so that control and simulator are tested without workflow, graph passes or torch.

`chain` is the shape of text-to-image: encode -> denoise (a loop of `steps`) -> decode. `fork` has two branches that
join. Workflows that name the same model names share models and programs, as compiled ones do.
"""

from dataclasses import replace
from typing import Literal

from brickwork.compiler.plan import Plan, PlanTask, Program, ProgramId, Role, Work
from brickwork.core.ids import ModelId, PlanId, RequestId
from brickwork.core.model import ModelSpec
from brickwork.core.request import SLO, Request, Scalar
from brickwork.core.tensor import TensorHandle, TensorSpec
from brickwork.graph.ir import Carry, Input, Loop, Node, Use
from brickwork.graph.types import INT, TEXT, Type
from brickwork.profile.table import CallProfile, Curve, DeviceProfile, Profile

LATENT = Type("latent", "toy", "float32", (16, 8, 8))
EMBEDDING = Type("embedding", "toy", "float32", (8, 64))
IMAGE = Type("image", "", "uint8", (3, 64, 64))
MIB = 1 << 20

INPUTS = (Input("prompt", TEXT), Input("start", INT, default=0), Input("steps", INT, default=4))


def model(name: str, weight_bytes: int = MIB) -> ModelSpec:
    return ModelSpec(ModelId(name), f"toy.{name}", f"models/{name}", "float32", weight_bytes, f"toy.{name}")


def encode_program(text: ModelSpec) -> Program:
    node = Node("encode", "toy.encode", text.id, (Use("text", "p0", TEXT),), (("out", EMBEDDING),))
    work = Work(f"{text.profile}/toy.encode", EMBEDDING, 1, None)
    return Program(
        ProgramId(f"encode-{text.id}"), (("p0", TEXT),), (node,), (("encode.out", EMBEDDING),), (text.id,), (), (work,)
    )


def denoise_program(dit: ModelSpec) -> Program:
    uses = (Use("latents", "loop.latents", LATENT), Use("text", "p0", EMBEDDING))
    node = Node("predict", "toy.predict", dit.id, uses, (("out", LATENT),))
    noise = Node("noise", "toy.noise", None, (), (("out", LATENT),))
    loop = Loop("loop", "p1", "p2", (Carry("latents", LATENT, "noise.out", "predict.out"),), (node,))
    return Program(
        id=ProgramId(f"denoise-{dit.id}"),
        params=(("p0", EMBEDDING), ("p1", INT), ("p2", INT)),
        body=(noise, loop),
        results=(("loop.latents", LATENT),),
        models=(dit.id,),
        roles=(Role("base", (dit.id,), ("predict",)),),
        work=(Work(f"{dit.profile}/toy.predict", LATENT, 2, ("p1", "p2")),),
    )


def controlled_program(dit: ModelSpec, net: ModelSpec) -> Program:
    """A loop in which a ControlNet stands beside the base."""
    plain = denoise_program(dit)
    control = Work(f"{net.profile}/toy.predict", LATENT, 2, ("p1", "p2"))
    return replace(
        plain,
        id=ProgramId(f"denoise-{dit.id}-{net.id}"),
        models=(dit.id, net.id),
        roles=(*plain.roles, Role("auxiliary", (net.id,), ("control",))),
        work=(control, *plain.work),
    )


def decode_program(vae: ModelSpec, inputs: int = 1) -> Program:
    uses = tuple(Use(f"latents{k}", f"p{k}", LATENT) for k in range(inputs))
    node = Node("decode", "toy.decode", vae.id, uses, (("out", IMAGE),))
    params = tuple((f"p{k}", LATENT) for k in range(inputs))
    work = Work(f"{vae.profile}/toy.decode", LATENT, 1, None)
    name = ProgramId(f"decode{inputs}-{vae.id}")
    return Program(name, params, (node,), (("decode.out", IMAGE),), (vae.id,), (), (work,))


def chain(name: str = "chain", text: str = "text", dit: str = "dit", vae: str = "vae", mib: int = 1) -> Plan:
    """encode -> denoise -> decode; every model has `mib` MiB of weights."""
    models = [model(each, mib * MIB) for each in (text, dit, vae)]
    programs = (encode_program(models[0]), denoise_program(models[1]), decode_program(models[2]))
    encode, denoise, decode = (program.id for program in programs)
    tasks = (
        PlanTask("encode", encode, ("prompt",), ("encode.out",), (), ()),
        PlanTask("denoise", denoise, ("encode.out", "start", "steps"), ("denoise.out",), ("encode",), ("encode.out",)),
        PlanTask("decode", decode, ("denoise.out",), ("decode.out",), ("denoise",), ("denoise.out",)),
    )
    return _plan(name, tasks, programs, models, (("image", "decode.out"),))


def fork(name: str = "fork", text: str = "text", dits: tuple[str, str] = ("dit", "dit2"), vae: str = "vae") -> Plan:
    """encode -> two denoises beside each other -> one decode; the embedding is a result as well."""
    models = [model(each) for each in (text, *dits, vae)]
    branches = [denoise_program(models[1]), denoise_program(models[2])]
    programs = (encode_program(models[0]), *branches, decode_program(models[3], inputs=2))
    tasks = (
        PlanTask("encode", programs[0].id, ("prompt",), ("encode.out",), (), ()),
        PlanTask("left", branches[0].id, ("encode.out", "start", "steps"), ("left.out",), ("encode",), ()),
        PlanTask("right", branches[1].id, ("encode.out", "start", "steps"), ("right.out",), ("encode",), ()),
        PlanTask(
            "decode",
            programs[3].id,
            ("left.out", "right.out"),
            ("decode.out",),
            ("left", "right"),
            ("left.out", "right.out"),
        ),
    )
    return _plan(name, tasks, programs, models, (("image", "decode.out"), ("embedding", "encode.out")))


def redraw(name: str = "redraw", dit: str = "dit", vae: str = "vae") -> Plan:
    """denoise -> decode from an embedding that the request brings as a tensor."""
    models = [model(each) for each in (dit, vae)]
    programs = (denoise_program(models[0]), decode_program(models[1]))
    tasks = (
        PlanTask("denoise", programs[0].id, ("given", "start", "steps"), ("denoise.out",), (), ("given",)),
        PlanTask("decode", programs[1].id, ("denoise.out",), ("decode.out",), ("denoise",), ("denoise.out",)),
    )
    plan = _plan(name, tasks, programs, models, (("image", "decode.out"),))
    return Plan(
        plan.id, name, (*INPUTS, Input("given", EMBEDDING)), (), tasks, plan.programs, plan.models, plan.outputs
    )


def controlled(name: str = "controlled", dit: str = "dit", net: str = "dit2", vae: str = "vae") -> Plan:
    """denoise with a ControlNet -> decode, from a given embedding."""
    plain = redraw(name, dit, vae)
    models = [model(each) for each in (dit, net, vae)]
    denoise = controlled_program(models[0], models[1])
    tasks = (replace(plain.tasks[0], program=denoise.id), plain.tasks[1])
    decode = next(program for program in plain.programs if program.id == plain.tasks[1].program)
    programs = tuple(sorted((denoise, decode), key=lambda program: program.id))
    return replace(plain, tasks=tasks, programs=programs, models=tuple(sorted(models, key=lambda each: each.id)))


def _plan(
    name: str,
    tasks: tuple[PlanTask, ...],
    programs: tuple[Program, ...],
    models: list[ModelSpec],
    outputs: tuple[tuple[str, str], ...],
) -> Plan:
    distinct = {spec.id: spec for spec in models}
    by_id = {program.id: program for program in programs}
    return Plan(
        id=PlanId(name),
        workflow=name,
        inputs=INPUTS,
        scalars=(),
        tasks=tasks,
        programs=tuple(by_id[key] for key in sorted(by_id)),
        models=tuple(distinct[key] for key in sorted(distinct)),
        outputs=outputs,
    )


def request(
    name: str,
    steps: int = 4,
    deadline_s: float | None = None,
    deterministic: bool = False,
    if_late: Literal["stop", "continue"] = "stop",
    least_steps: int | None = None,
    resend_key: str = "",
) -> Request:
    values: tuple[tuple[str, Scalar], ...] = (("prompt", "a red circle"), ("start", 0), ("steps", steps))
    degrade = (("steps", least_steps),) if least_steps is not None else ()
    slo = SLO(deadline_s, deterministic, if_late, degrade)
    return Request(RequestId(name), "toy", values, slo, resend_key=resend_key)


def handle(block: int, spec: TensorSpec | None = None) -> TensorHandle:
    return TensorHandle("host", 0, block, 64 * block, spec or TensorSpec((8,), "float32"), 1)


def profile(load_s: float = 0.05) -> Profile:
    """Round figures: encode 1 ms and cheap to batch, a denoise step of two rows 10 ms, decode 8 ms and dear to batch.

    load_s    seconds to load one MiB
    """

    def calls(shape: str, *points: tuple[int, float]) -> dict[str, CallProfile]:
        return {shape: CallProfile(Curve(points), Curve(((1, 1000.0),)))}

    curves = {}
    for suffix in ("", "2", "3"):
        curves[f"toy.text{suffix}/toy.encode"] = calls("8x64", (1, 0.001), (16, 0.002))
        curves[f"toy.dit{suffix}/toy.predict"] = calls("16x8x8", (1, 0.007), (2, 0.010), (32, 0.055))
        curves[f"toy.vae{suffix}/toy.decode"] = calls("16x8x8", (1, 0.008), (16, 0.120))
    return Profile({"cpu-1": DeviceProfile(curves, load_base_s=0.0, load_bytes_per_s=MIB / load_s)})
