"""Goal: SD3's methods add exactly the nodes that `models/sd3/nodes.py` computes, and its limits reach the inputs.

Method: workflows on a tiny SD3 directory; the emitted operations, ports, attributes and shapes are read from the graph.
"""

from pathlib import Path

import pytest

import brickwork as bw
from brickwork.graph.ir import Graph, Loop, Node
from brickwork.graph.parse import parse
from brickwork.graph.text import print_graph, print_type
from brickwork.starter.workflows import VIDEO, WORKFLOWS, image_to_image, text_to_image, text_to_image_quick
from support.tiny_sd3 import BORDER, MAX_WORDS, WORDS, build_tiny_sd3


def calls(graph: Graph) -> list[str]:
    """`op(ports) {attrs} -> types` of every node that is no arithmetic, bodies included."""
    nodes: list[Node] = []
    for item in graph.nodes:
        nodes += item.body if isinstance(item, Loop) else [item]
    return [_call(node) for node in nodes if not node.op.startswith("scalar.")]


def _call(node: Node) -> str:
    ports = ", ".join(use.port for use in node.inputs)
    model = f"<{node.model.partition('-')[0]}>" if node.model else ""
    attrs = " ".join(key if key == "sampler" else f"{key}={value}" for key, value in node.attrs)
    shapes = ", ".join(port + print_type(type_).partition("[")[2].join("[ ").rstrip() for port, type_ in node.outputs)
    return f"{node.op}{model}({ports}) {{{attrs}}} -> {shapes.replace('.value', '')}"


ENCODE = [
    "text.clip<clip_text>(text, adapters) {max_length=12 lora=sd3:text_encoder} "
    "-> hidden[1, 12, 32] float32, pooled[1, 24] float32",
    "text.clip<clip_text>(text, adapters) {max_length=12 lora=sd3:text_encoder_2} "
    "-> hidden[1, 12, 48] float32, pooled[1, 40] float32",
    "text.t5<t5_text>(text, adapters) {max_length=11 lora=sd3:text_encoder_3} -> hidden[1, 11, 96] float32",
    "sd3.join(clip_1, pooled_1, clip_2, pooled_2, t5) {} -> embeds[1, 23, 96] float32, pooled[1, 64] float32",
]
DENOISE = [
    "sd3.predict<sd3_transformer>(latents, embeds, pooled, negative_embeds, negative_pooled, rows, steps, i, adapters) "
    "{sampler lora=sd3:transformer} -> velocity[%add, 4, %height/8, %width/8] float32",
    "guide.cfg(velocity, guidance, rows) {} -> velocity[1, 4, %height/8, %width/8] float32",
    "sampler.step(latents, velocity, i, steps) {sampler} -> latents[1, 4, %height/8, %width/8] float32",
]
DECODE = [
    "vae.decode<vae>(latents) {} -> pixels[1, 3, %height, %width] float32",
    "image.to_uint8(pixels) {} -> image[1, %height, %width, 3] uint8",
]
NOISE = ["noise.gaussian(seed, height, width) {channels=4 over=8} -> latent[1, 4, %height/8, %width/8] float32"]
START = [
    "vae.encode<vae>(image) {} -> moments[1, 8, %height/8, %width/8] float32",
    "latents.start(moments, seed, i, steps) {sampler scaling_factor=0.7 shift_factor=0.06} "
    "-> latents[1, 4, %height/8, %width/8] float32",
]


def test_text_to_image_emits_what_the_nodes_compute(tiny_sd3: Path) -> None:
    assert calls(text_to_image(tiny_sd3).graph) == ENCODE + ENCODE + NOISE + DENOISE + DECODE


def test_quick_encodes_no_negative_text(tiny_sd3: Path) -> None:
    assert calls(text_to_image_quick(tiny_sd3).graph) == NOISE + ENCODE + DENOISE + DECODE


def test_image_to_image_starts_from_the_image(tiny_sd3: Path) -> None:
    assert calls(image_to_image(tiny_sd3).graph) == ENCODE + ENCODE + START + DENOISE + DECODE


@pytest.mark.parametrize("name", [name for name in WORKFLOWS if name not in VIDEO])
def test_shipped_workflows_are_called_what_the_list_calls_them(tiny_sd3: Path, name: str) -> None:
    workflow = WORKFLOWS[name](tiny_sd3)
    assert workflow.name == name
    assert all(input_.doc for input_ in workflow.inputs), "flags and schema need the documentation"
    assert parse(print_graph(workflow.graph)) == workflow.graph


def test_the_models_limits_reach_the_inputs(tiny_sd3: Path) -> None:
    inputs = {input_.name: input_ for input_ in text_to_image(tiny_sd3).inputs}
    assert inputs["prompt"].words == inputs["negative_prompt"].words == WORDS
    assert inputs["prompt"].max_words == MAX_WORDS
    assert (inputs["prompt"].minimum, inputs["negative_prompt"].minimum) == (1, None)
    assert inputs["size"].choices == ((64, 64),)
    assert (inputs["steps"].default, inputs["steps"].minimum, inputs["steps"].maximum) == (4, 1, 1000)
    assert inputs["guidance"].default == 2.0


def test_without_a_border_file_the_configuration_limits(tmp_path: Path) -> None:
    workflow = text_to_image(build_tiny_sd3(tmp_path / "foreign", border=None))
    inputs = {input_.name: input_ for input_ in workflow.inputs}
    assert (inputs["prompt"].words, inputs["prompt"].max_chars) == ((), 10_000)
    size = inputs["size"]
    assert (size.choices, size.multiple_of, size.minimum, size.maximum) == (((64, 64),), 8, 8, 128)
    assert inputs["steps"].default == 28


def test_guidance_of_the_request_needs_a_negative_text(tiny_sd3: Path) -> None:
    sd3 = bw.family(tiny_sd3)

    @bw.workflow
    def free(prompt: str, guidance: float) -> bw.Image:
        return sd3.decode(sd3.denoise(sd3.noise(0, "64x64"), sd3.encode(prompt), steps=2, guidance=guidance))

    assert calls(free.graph).count(ENCODE[0]) == 2, "guidance may be above 1, so the empty text is encoded"


def test_all_of_the_family_is_known_without_torch(tiny_sd3: Path) -> None:
    sd3 = bw.family(tiny_sd3)
    assert (sd3.native_size, sd3.default_steps, sd3.default_guidance) == ((64, 64), BORDER["defaults"]["steps"], 2.0)  # type: ignore[index]
