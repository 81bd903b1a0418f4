"""Goal: each rule of the graph language is enforced, with an error that names the node and the author's line.

Method: one valid graph as text; a table of single replacements, each of which breaks one rule.
"""

import pytest

from brickwork.core.errors import WorkflowError
from brickwork.graph.parse import parse
from brickwork.graph.verify import verify

GOOD = """
workflow demo
model dit-1 {kind="dit", path="dit", dtype="float32", weight_bytes=8, profile="dit"}
input %size : size {default=[64, 64]} @"demo.py:1"
input %seed : int {default=0} @"demo.py:1"
%height = scalar.height(a=%size) : value int @"demo.py:2"
%none = scalar.const() {value=0} : value int @"demo.py:2"
%noise = noise.gaussian(seed=%seed) : x latent[1, %height.value/8] float32 @"demo.py:3"
%denoise = loop %none.value to %seed carry (x : latent[1, %height.value/8] float32
    = %noise.x then %euler.x) @"demo.py:4" do
  %predict = net.predict<dit-1>(x=%denoise.x, i=%denoise.i) : v velocity[1] float32 @"demo.py:5"
  %euler = sampler.euler(x=%denoise.x, v=%predict.v) : x latent[1, %height.value/8] float32 @"demo.py:6"
end
return x=%denoise.x
"""

BROKEN = [
    ("%none = ", '%seed = scalar.const() {value=1} : value int @"demo.py:9"\n%none = ',
     "demo.py:9: seed is defined twice"),
    ("[64, 64]", "64", "demo.py:1: size: expected a default of size, got 64"),
    ("{value=0}", "{value=0.5}", "demo.py:2: none: scalar.const gives float"),
    ("scalar.height(a=%size)", "scalar.height(a=%seed)", "demo.py:2: height: there is no scalar.height of int"),
    ("scalar.height(a=%size)", "scalar.depth(a=%size)", "demo.py:2: height: there is no scalar.depth of size"),
    ("v velocity[1] float32", "v velocity[0] float32", "demo.py:5: predict.v: an axis of 0 is not positive"),
    ("v velocity[1] float32", "v velocity[1] float12", "demo.py:5: predict.v: unknown dtype 'float12'"),
    ("v velocity[1] float32", "v velocity", "demo.py:5: predict.v: a velocity needs a dtype"),
    ("v velocity[1] float32", "v int", "demo.py:5: predict: only scalar.* operations have outputs that are not"),
    ("v velocity[1]", "v velocity[%denoise.i]", "demo.py:5: predict: a shape may not depend on the trip"),
    ("x latent[1, %height.value/8] float32 @\"demo.py:3\"", "x latent[1, %height/8] float32 @\"demo.py:3\"",
     "demo.py:3: noise.x: its shape depends on height, which is no int defined before it"),
    ("loop %none.value", "loop %noise.x", "demo.py:4: denoise: its bound noise.x is no int"),
    ("then %euler.x", "then %predict.v", "demo.py:4: denoise: carry x is Type("),
    ("then %euler.x", "then %later.x", "demo.py:4: denoise: carry x ends as later.x, which is not defined there"),
    ("then %euler.x)", "then %euler.x, x : latent[1, %height.value/8] float32 = %noise.x then %euler.x)",
     "demo.py:4: denoise: a loop has a body and carries with different names"),
    ("%euler = sampler.euler(", "%euler = scalar.add(", "demo.py:6: denoise: euler may not stand in a loop's body"),
    ("net.predict<dit-1>", "net.predict", "demo: model dit-1 is listed or named, but not both"),
    ("return x=%denoise.x", "return x=%euler.x", "demo: result x is euler.x of euler, which is not defined"),
    ("return x=%denoise.x", "return x=%denoise.x, x=%noise.x", "demo: a workflow returns one or more values"),
]  # fmt: skip


def test_the_good_graph_is_valid() -> None:
    verify(parse(GOOD))


@pytest.mark.parametrize(("old", "new", "expected"), BROKEN, ids=[expected for *_, expected in BROKEN])
def test_a_broken_rule_is_named(old: str, new: str, expected: str) -> None:
    assert old in GOOD
    graph = parse(GOOD.replace(old, new))
    with pytest.raises(WorkflowError) as caught:
        verify(graph)
    assert str(caught.value).startswith(expected)
