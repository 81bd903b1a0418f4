"""Goal: nothing invalid gets past the border; each refusal names the field and the remedy.

Method: a table of wrong values with words of their errors; right values with what they resolve to; Hypothesis throws
any value at any input, which must end in a value of the declared type or in an InputError that names the field.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork.core.errors import InputError
from brickwork.graph.ir import Input
from brickwork.graph.scalars import type_of
from brickwork.graph.types import BOOL, FLOAT, INT, SIZE, TEXT, Type
from brickwork.workflow.inputs import narrow, parse_size, show_size, validate

WORDS = ("a", "red", "circle", "above")
INPUTS = (
    Input("prompt", TEXT, doc="What to draw.", minimum=1, words=WORDS, max_words=5, max_chars=100),
    Input("style", TEXT, default="", max_chars=10),
    Input("steps", INT, default=12, minimum=1, maximum=1000),
    Input("guidance", FLOAT, default=2.0, minimum=0.0, maximum=100.0),
    Input("tiled", BOOL, default=False),
    Input("size", SIZE, default="auto", choices=((64, 64), (32, 64))),
    Input("canvas", SIZE, default="auto", choices=((512, 512),), multiple_of=16, minimum=16, maximum=1024),
    Input("mode", TEXT, default="fast", choices=("fast", "good")),
)

WRONG: list[tuple[str, Any, str]] = [
    ("prompt", "", "it is empty; say in words what you want to see"),
    ("prompt", "  \n ", "it is empty"),
    ("prompt", None, "it is required: give a text (What to draw.)"),
    ("prompt", 7, "expected a text, got int 7"),
    ("prompt", "a read circle", "unknown words: 'read' (did you mean 'red'?). The model knows: a, red, circle, above"),
    ("prompt", "a a a a a a", "it has 6 words; at most 5 are allowed"),
    ("prompt", "a " * 500_000, "it has 1,000,000 characters; at most 100 are allowed"),
    ("style", "\ud800", "it is not valid Unicode"),
    ("steps", 0, "0 is out of range; choose from 1 to 1000"),
    ("steps", 10**9, "1000000000 is out of range; choose from 1 to 1000"),
    ("steps", 10**30, "the number is too large; choose from 1 to 1000"),
    ("steps", True, "expected a whole number, got bool True"),
    ("steps", 4.0, "expected a whole number, got float 4.0"),
    ("steps", "12", "expected a whole number, got str '12'"),
    ("guidance", float("nan"), "expected a finite number, got nan; choose from 0.0 to 100.0"),
    ("guidance", float("inf"), "expected a finite number, got inf"),
    ("guidance", -1, "-1 is out of range"),
    ("guidance", 10**400, "the number is too large"),
    ("tiled", 1, "expected true or false, got int 1"),
    ("size", "63x64", "63x64 is not a size that the model draws; allowed (width x height): 64x64, 64x32"),
    ("size", (64,), "expected auto, or a size as 1024x768 (width x height), got tuple (64,)"),
    ("size", "64 by 64", "expected auto, or a size"),
    ("size", "-64x64", "expected auto, or a size"),
    ("canvas", "500x512", "500x512 is not a size that the model draws; allowed are sides that are multiples of 16"),
    ("canvas", (2048, 512), "512x2048 is not a size"),
    ("mode", "best", "expected one of fast, good, got str 'best'"),
    ("step", 3, "there is no such input (did you mean 'steps'?)"),
]


@pytest.mark.parametrize(("field", "value", "expected"), WRONG, ids=lambda value: str(value)[:30])
def test_a_wrong_value_is_refused_with_its_remedy(field: str, value: Any, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        validate(INPUTS, {"prompt": "a red circle"} | {field: value})
    assert caught.value.field == field
    assert caught.value.message.startswith(expected)
    assert len(str(caught.value)) < 400, "an error never echoes a huge input"


RIGHT: list[tuple[str, Any, Any]] = [
    ("prompt", "A  Red circle ", "a red circle"),
    ("style", " As It Is", " As It Is"),
    ("steps", None, 12),
    ("guidance", 3, 3.0),
    ("size", None, (64, 64)),
    ("size", "auto", (64, 64)),
    ("size", "64x32", (32, 64)),
    ("size", [32, 64], (32, 64)),
    ("canvas", "1024x16", (16, 1024)),
]


@pytest.mark.parametrize(("field", "value", "expected"), RIGHT)
def test_a_right_value_is_resolved(field: str, value: Any, expected: Any) -> None:
    resolved = validate(INPUTS, {"prompt": "a red circle"} | {field: value})[field]
    assert resolved == expected
    assert type(resolved) is type(expected)


def test_images_pass_through_and_are_required() -> None:
    image = Input("image", Type("image", "", "uint8", (1, 4, 4, 3)), doc="What to change.")
    assert validate([image], {"image": "cat.png"}) == {"image": "cat.png"}
    with pytest.raises(InputError, match="image: it is required: give an image"):
        validate([image], {})
    with pytest.raises(InputError, match="image: expected an image"):
        validate([image], {"image": 3})


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(),
    st.lists(st.integers(), max_size=3), st.tuples(st.integers(), st.integers()),
)  # fmt: skip


@given(st.sampled_from(INPUTS), ANYTHING)
def test_anything_is_resolved_or_refused(input_: Input, value: Any) -> None:
    given_ = {"prompt": "a red circle"} | {input_.name: value}
    try:
        resolved = validate(INPUTS, given_)
    except InputError as error:
        assert error.field == input_.name
    else:
        assert all(type_of(resolved[declared.name]) == declared.type for declared in INPUTS)
        assert validate(INPUTS, resolved) == resolved, "resolved values are right values"


@given(st.tuples(st.integers(1, 10**5), st.integers(1, 10**5)))
def test_sizes_are_shown_as_they_are_read(size: tuple[int, int]) -> None:
    assert parse_size(show_size(size)) == size


def test_limits_of_two_models_meet() -> None:
    both = narrow(narrow(Input("x", INT), minimum=1, maximum=50), minimum=0, maximum=20)
    assert (both.minimum, both.maximum) == (1, 20)
    grid = dict(multiple_of=16, minimum=16, maximum=1024, choices=((512, 512),))
    listed = narrow(narrow(Input("s", SIZE), **grid), choices=((64, 64), (63, 63)))  # type: ignore[arg-type]
    assert (listed.choices, listed.multiple_of) == (((64, 64),), None)
    with pytest.raises(InputError, match="no allowed value in common"):
        narrow(narrow(Input("s", SIZE), choices=((64, 64),)), choices=((32, 32),))
    with pytest.raises(InputError, match="no allowed value in common"):
        narrow(narrow(Input("t", TEXT), words=("a",)), words=("b",))
