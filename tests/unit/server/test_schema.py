"""Goal: the generated models accept what a workflow accepts, refuse what it refuses, and describe it truly.

Method: inputs are drawn, then values of every kind; pydantic's verdict is compared with `check`'s, and the claims of
the JSON Schema (type, bounds, choices) with both.
"""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError, create_model

from brickwork.core.errors import InputError
from brickwork.graph.ir import Input
from brickwork.graph.types import BOOL, FLOAT, INT, SIZE, TEXT, Type
from brickwork.server.schema import Strict, input_fields, json_schema
from brickwork.server.schema import given as given_values
from brickwork.workflow.inputs import check

IMAGE = Type("image", dtype="uint8", shape=(1, 64, 64, 3))
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-20, 20), st.floats(), st.text(max_size=5), st.just("auto"), st.just("64x64"),
    st.sampled_from(["red", "Red  circle"]), st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
)  # fmt: skip


@st.composite
def inputs(draw: st.DrawFn) -> Input:
    kind = draw(st.sampled_from([TEXT, INT, FLOAT, BOOL, SIZE]))
    low, high = sorted((draw(st.integers(-10, 10)), draw(st.integers(-10, 10))))
    match kind.space:
        case "text":
            words = draw(st.sampled_from([(), ("red", "circle")]))
            return Input(
                "x", kind, minimum=draw(st.sampled_from([None, 1])), words=words, max_chars=draw(st.integers(3, 12))
            )
        case "int" | "float":
            return Input("x", kind, default=low if kind == INT else float(low), minimum=low, maximum=high)
        case "size":
            return Input("x", kind, default="auto", choices=((64, 64), (64, 128)))
    return Input("x", kind, default=True)


def model(item: Input) -> type[Strict]:
    return create_model("M", __base__=Strict, **input_fields([item]))


def accepts(function: Any, *args: Any) -> bool:
    try:
        function(*args)
    except (InputError, ValidationError):
        return False
    return True


@given(inputs(), VALUES)
def test_the_verdict_is_the_workflows(item: Input, value: Any) -> None:
    by_model = accepts(model(item).model_validate, {"x": value})
    if value is None or (item.type == SIZE and not isinstance(value, str)):
        assert not by_model, "null is no value in JSON; a size is a text"
    else:
        assert by_model == accepts(check, item, value)


@given(inputs(), VALUES)
def test_the_schema_claims_nothing_false(item: Input, value: Any) -> None:
    """Whatever is accepted satisfies the schema."""
    if not accepts(model(item).model_validate, {"x": value}):
        return
    schema = json_schema(item)
    python = {"string": str, "integer": int, "number": (int, float), "boolean": bool}[schema["type"]]
    assert isinstance(value, python)
    if not isinstance(value, str | bool):
        assert math.isfinite(value) and schema["minimum"] <= value <= schema["maximum"]
    if isinstance(value, str) and item.type == TEXT:
        assert schema.get("minLength", 0) <= len(value) <= schema["maxLength"]
    assert "enum" not in schema or value in schema["enum"]


def test_only_what_was_given_is_passed_on() -> None:
    items = [Input("steps", INT, default=4), Input("copy", TEXT, default="")]  # "copy" is a name of pydantic's own
    value = create_model("M", __base__=Strict, **input_fields(items)).model_validate({"copy": "a"})
    assert given_values(value, items) == {"copy": "a"}


def test_unknown_names_are_refused_with_a_guess() -> None:
    with pytest.raises(InputError, match="did you mean 'steps'"):
        model(Input("steps", INT, default=4)).model_validate({"stepz": 3})


@pytest.mark.parametrize("value", [3, ["data:image/png;base64,"], {}, None])
def test_a_picture_is_a_text(value: Any) -> None:
    with pytest.raises(InputError) as refused:
        model(Input("photo", IMAGE)).model_validate({"photo": value})
    assert refused.value.field == "photo"
