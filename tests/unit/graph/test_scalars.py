"""Goal: arithmetic on request inputs is exact, typed, and never silently infinite.

Method: values against Python's own arithmetic; limits by hand; the first step of image-to-image against the formula
that diffusers uses, for all step counts that the model takes.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork.graph.ir import Input, Node, Use
from brickwork.graph.scalars import OPS, ScalarError, evaluate, result_type, type_of
from brickwork.graph.types import BOOL, FLOAT, INT, SIZE, TEXT, Type
from brickwork.workflow.trace import Tracer, tracing


def compute(op: str, *values: object) -> object:
    types = tuple(type_of(value) for value in values)
    assert all(types)
    given = result_type(op, tuple(t for t in types if t))
    assert given is not None
    uses = tuple(Use(f"a{k}", f"v{k}", t) for k, t in enumerate(types) if t)
    node = Node("it", op, None, uses, (("value", given),))
    return evaluate((node,), {f"v{k}": value for k, value in enumerate(values)})["it.value"]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, BOOL), (1, INT), (2**63, None), (-(2**63), None), (0.5, FLOAT), (float("nan"), None),
     (float("inf"), None), ("a", TEXT), ((2, 3), SIZE), ((True, 3), None), ((1, 2, 3), None), (None, None)],
)  # fmt: skip
def test_types_of_plain_values(value: object, expected: Type | None) -> None:
    assert type_of(value) == expected


def test_operations_compute_what_python_computes() -> None:
    assert compute("scalar.add", 2, 3) == 5
    assert compute("scalar.floordiv", -7, 2) == -4
    assert compute("scalar.gt", 1.5, 1.0) is True
    assert compute("scalar.floor", 2.9) == 2
    assert compute("scalar.height", (3, 4)) == 3
    assert compute("scalar.line", "0.5 a\n", 0.25, "b") == "0.5 a\n0.25 b\n"
    assert compute("scalar.width", (3, 4)) == 4


@pytest.mark.parametrize(
    ("op", "values"),
    [("scalar.floordiv", (1, 0)), ("scalar.div", (1.0, 0.0)), ("scalar.mul", (2**40, 2**40)),
     ("scalar.mul", (1e200, 1e200)), ("scalar.floor", (1e300,))],
)  # fmt: skip
def test_a_result_without_meaning_names_the_node(op: str, values: tuple[object, ...]) -> None:
    with pytest.raises(ScalarError, match="it "):
        compute(op, *values)


def test_every_signature_gives_a_type() -> None:
    for op, row in OPS.items():
        for takes in row.takes:
            assert result_type(op, takes) in (INT, FLOAT, BOOL, SIZE, TEXT)
        assert result_type(op, (TEXT, INT)) is None


def _first_step_nodes() -> tuple[tuple[Node, ...], str]:
    from brickwork.models.image.sampling import fractional_start as first_step

    tracer = Tracer()
    with tracing(tracer):
        steps, strength = tracer.add_input(Input("steps", INT)), tracer.add_input(Input("strength", FLOAT))
        result = first_step(steps, strength).name
    return tuple(node for node in tracer.nodes if isinstance(node, Node)), result


@given(st.integers(1, 1000), st.floats(0.01, 1.0))
def test_image_to_image_starts_where_diffusers_starts(steps: int, strength: float) -> None:
    nodes, result = _first_step_nodes()
    begin = evaluate(nodes, {"steps": steps, "strength": strength})[result]
    assert begin == int(max(steps - min(steps * strength, steps), 0))
    assert isinstance(begin, int) and begin < steps, "at least one step runs"
