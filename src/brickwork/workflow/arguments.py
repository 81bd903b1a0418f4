"""What an operation expects of its arguments, and what to say when an author gives something else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from brickwork.core.errors import InputError
from brickwork.graph.ir import Input
from brickwork.graph.types import FLOAT, INT, Type
from brickwork.workflow.inputs import check, narrow
from brickwork.workflow.lines import mistake
from brickwork.workflow.trace import Value, as_value, check_sized, current, describe, is_unsized, show, to_float


def expect(label: str, given: Any, type_: Type) -> Value:
    """`given` as a value of exactly `type_` (an int is welcome where a float is expected)."""
    if given is None:
        raise mistake(f"{label}: expected {describe(type_)}, got None")
    value = as_value(label, given)
    if type_ == FLOAT and value.type == INT:
        return to_float(value)
    if value.type != type_:
        raise mistake(f"{label}: expected {describe(type_)}, got {_given(given, value)}")
    return value


def expect_tensor(label: str, given: Any, space: str, of: str, channels: tuple[int | None, ...]) -> Value:
    """`given` as a tensor of a space; `None` in `channels` is an axis of any length.

    raises    WorkflowError that says what was expected, and what came
    """
    wanted = f"{space}{f' of {of}' if of else ''} [{', '.join('*' if c is None else str(c) for c in channels)}]"
    if not isinstance(given, Value):
        raise mistake(f"{label}: expected {wanted}, got {show(given)}")
    current(label).check_own(label, given)
    if (given.type.space, given.type.of) == (space, of):
        check_sized(label, given)
        shape = given.type.shape
        if len(shape) == len(channels) and all(c in (None, axis) for c, axis in zip(channels, shape, strict=True)):
            return given
    raise mistake(f"{label}: expected {wanted}, got {_given(given, given)}")


def constrain(label: str, value: Value, **limits: Any) -> None:
    """Let a model's limits flow to the request input that `value` is; check at once when it is a constant.

    limits    fields of Input: minimum, maximum, choices, multiple_of, words, max_words, max_chars
    """
    tracer = value.tracer
    try:
        if value.name in tracer.inputs:
            tracer.inputs[value.name] = narrow(tracer.inputs[value.name], **limits)
        elif value.name in tracer.consts:
            check(narrow(Input("it", value.type), **limits), tracer.consts[value.name])
    except InputError as error:
        raise mistake(f"{label}: {error.message}") from None


def fit_image(label: str, image: Value, type_: Type) -> Value:
    """Give an image input the shape of `type_`: the border resizes what a caller brings before anything runs."""
    tracer = image.tracer
    if not is_unsized(image):
        if tracer.inputs.get(image.name) is not None and image.type != type_:
            raise mistake(f"{label}: {image.name} was fitted to another size before; one image input has one size")
        return expect(label, image, type_)
    tracer.inputs[image.name] = replace(tracer.inputs[image.name], type=type_)
    image.type = type_
    return image


def _given(given: Any, value: Value) -> str:
    return f"{describe(value.type)} ({value.name})" if isinstance(given, Value) else show(given)
