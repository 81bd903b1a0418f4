"""Goal: the corners of single passes, which drawn graphs seldom reach.

Method: a small text per corner; each was found by a mutant of a pass that the other suites let live.
"""

from brickwork.compiler.draft import draft, print_draft, verify_draft
from brickwork.compiler.passes.common_subexpressions import common_subexpressions
from brickwork.compiler.passes.dead_nodes import dead_nodes
from brickwork.compiler.passes.task_fusion import task_fusion
from brickwork.graph.parse import parse
from brickwork.graph.text import print_graph

MODELS = """model a-1 {kind="a", path="a", dtype="float32", weight_bytes=8, profile="a"}
model b-1 {kind="b", path="b", dtype="float32", weight_bytes=8, profile="b"}
"""


def test_numbers_that_python_calls_equal_are_different_attributes() -> None:
    text = """workflow demo
%x = noise() {scale=1} : x latent[4] float32
%y = noise() {scale=1.0} : x latent[4] float32
%z = noise() {scale=true} : x latent[4] float32
return x=%x.x, y=%y.x, z=%z.x
"""
    assert print_graph(common_subexpressions(draft(parse(text))).graph) == text


def test_arithmetic_that_only_an_images_shape_needs_is_alive() -> None:
    text = """workflow demo
input %size : size
input %image : image[1, %height.value, 3] uint8
%height = scalar.height(a=%size) : value int
return image=%image
"""
    plan = dead_nodes(draft(parse(text)))
    verify_draft(plan)
    assert print_graph(plan.graph) == text


def test_a_cheap_node_with_two_readers_stays_alone() -> None:
    """Riding with `last` it would wait for `first`, which waits for it."""
    text = f"""workflow demo
{MODELS}%noise = noise() : x latent[4] float32
%first = net.a<a-1>(x=%noise.x) : x latent[4] float32
%last = net.b<b-1>(x=%noise.x, y=%first.x) : x latent[4] float32
return x=%last.x
"""
    plan = task_fusion(draft(parse(text)))
    verify_draft(plan)
    assert print_draft(plan) == "task noise: noise\ntask first: first\ntask last: last\n"


def test_what_leaves_the_workflow_does_not_wait_for_its_reader() -> None:
    """`mix` is a result: riding with its reader it would be there only when that task ends."""
    text = f"""workflow demo
{MODELS}%first = net.a<a-1>() : x latent[4] float32
%mix = mix(x=%first.x) : x latent[4] float32
%last = net.b<b-1>(x=%mix.x) : x latent[4] float32
return mix=%mix.x, x=%last.x
"""
    plan = task_fusion(draft(parse(text)))
    verify_draft(plan)
    assert print_draft(plan) == "task first: first mix\ntask last: last\n"


def test_a_body_does_not_repeat_what_was_done_before_the_loop() -> None:
    text = """workflow demo
input %n : int
%zero = scalar.const() {value=0} : value int
%x = noise() : x latent[4] float32
%loop = loop %zero.value to %n carry (x : latent[4] float32 = %x.x then %step.x) do
  %again = noise() : x latent[4] float32
  %step = mix(x=%loop.x, y=%again.x) : x latent[4] float32
end
return x=%loop.x
"""
    merged = print_graph(common_subexpressions(draft(parse(text))).graph)
    assert "%again" not in merged and "mix(x=%loop.x, y=%x.x)" in merged
