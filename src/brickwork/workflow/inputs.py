"""The border: what a caller gives, against what a workflow declares. Nothing invalid gets past here.

Types are strict (True is no int, "28" is no number); each refusal names the field, says what is allowed and how to
repair it. Texts for a model with a vocabulary are put into its form: lower case, single spaces.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from brickwork.core.errors import InputError
from brickwork.core.request import Scalar
from brickwork.graph.ir import Input
from brickwork.graph.scalars import INT_LIMIT
from brickwork.graph.types import BOOL, FLOAT, INT, SIZE, TEXT, Type

MAX_SHOWN = 24
"""Longest list of choices or words that an error spells out."""


def validate(inputs: Sequence[Input], values: Mapping[str, Any]) -> dict[str, Any]:
    """All inputs of a request, resolved: defaults filled in, "auto" sizes made concrete, texts in the model's form.

    inputs    what the workflow declares
    values    what the caller gave; a tensor input (an image) is passed through as it is
    returns   a value for every input, in the order of declaration
    raises    InputError naming the first field that is unknown, missing or wrong, and the remedy
    """
    names = [input_.name for input_ in inputs]
    for name in values:
        if name not in names:
            raise InputError(str(name)[:80], f"there is no such input{_suggest(str(name), names)}")
    return {input_.name: check(input_, values.get(input_.name)) for input_ in inputs}


def check_degrade(inputs: Sequence[Input], degrade: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """What may be lowered rather than refuse a request: int inputs, each with the least value that is still wanted.

    raises    InputError about `degrade`
    """
    declared = {item.name: item for item in inputs if item.type == INT and not item.choices}
    for name, least in degrade.items():
        if name not in declared:
            could = ", ".join(sorted(declared)) or "none"
            raise InputError("degrade", f"{str(name)[:80]!r} cannot be lowered; inputs that can: {could}")
        if isinstance(least, bool) or not isinstance(least, int):
            raise InputError("degrade", f"the least value of {name} must be a whole number, got {_show(least)}")
        try:
            check(declared[name], least)
        except InputError as error:
            raise InputError("degrade", f"the least value of {name}: {error.message}") from None
    return tuple(degrade.items())


def check(input_: Input, value: Any) -> Any:
    """One value, resolved. None means: not given."""
    if value is None:
        value = input_.default
    if value is None:
        raise InputError(input_.name, f"it is required: give {_what(input_)}")
    if input_.type.is_tensor:
        if isinstance(value, int | float):
            raise InputError(input_.name, f"expected {_what(input_)}, got {_show(value)}")
        return value
    return _CHECKS[input_.type](input_, value)


def _check_text(input_: Input, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(input_.name, f"expected a text, got {_show(value)}")
    if input_.max_chars is not None and len(value) > input_.max_chars:
        raise InputError(input_.name, f"it has {len(value):,} characters; at most {input_.max_chars:,} are allowed")
    if any(0xD800 <= ord(character) < 0xE000 for character in value):
        raise InputError(input_.name, "it is not valid Unicode (a lone surrogate); send UTF-8")
    words: list[str] = value.split()
    if input_.minimum is not None and len(words) < input_.minimum:
        raise InputError(input_.name, "it is empty; say in words what you want to see")
    if input_.words:
        words = _in_vocabulary(input_, words)
        value = " ".join(words)
    if input_.max_words is not None and len(words) > input_.max_words:
        raise InputError(input_.name, f"it has {len(words):,} words; at most {input_.max_words} are allowed")
    if input_.choices and value not in input_.choices:
        raise InputError(input_.name, f"expected one of {_some(input_.choices)}, got {_show(value)}")
    return str(value)


def _in_vocabulary(input_: Input, words: list[str]) -> list[str]:
    words = [word.lower() for word in words]
    known = set(input_.words)
    if unknown := [word for word in dict.fromkeys(words) if word not in known]:
        named = ", ".join(repr(word[:40]) + _suggest(word, input_.words) for word in unknown[:5])
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise InputError(input_.name, f"unknown words: {named}{more}. The model knows: {_some(input_.words, 60)}")
    return words


def _check_int(input_: Input, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(input_.name, f"expected a whole number, got {_show(value)}")
    if abs(value) >= INT_LIMIT:
        raise InputError(input_.name, f"the number is too large{_bounds(input_)}")
    return int(_check_bounds(input_, value))


def _check_float(input_: Input, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(input_.name, f"expected a number, got {_show(value)}")
    if isinstance(value, int) and abs(value) >= INT_LIMIT:
        raise InputError(input_.name, f"the number is too large{_bounds(input_)}")
    if not math.isfinite(value):
        raise InputError(input_.name, f"expected a finite number, got {value}{_bounds(input_)}")
    return float(_check_bounds(input_, value))


def _check_bool(input_: Input, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(input_.name, f"expected true or false, got {_show(value)}")
    return value


def _check_bounds(input_: Input, value: int | float) -> int | float:
    too_small = input_.minimum is not None and value < input_.minimum
    if too_small or (input_.maximum is not None and value > input_.maximum):
        raise InputError(input_.name, f"{value} is out of range{_bounds(input_)}")
    if input_.choices and value not in input_.choices:
        raise InputError(input_.name, f"expected one of {_some(input_.choices)}, got {value}")
    return value


def _bounds(input_: Input) -> str:
    if input_.minimum is not None and input_.maximum is not None:
        return f"; choose from {input_.minimum} to {input_.maximum}"
    if input_.minimum is not None:
        return f"; choose at least {input_.minimum}"
    return f"; choose at most {input_.maximum}" if input_.maximum is not None else ""


def _check_size(input_: Input, value: Any) -> tuple[int, int]:
    if value == "auto":
        if not input_.choices:
            raise InputError(input_.name, "the workflow has no size of its own; give one, as 1024x768 (width x height)")
        native = input_.choices[0]
        assert isinstance(native, tuple)
        return native
    size = parse_size(value)
    if size is None:
        raise InputError(input_.name, f"expected auto, or a size as 1024x768 (width x height), got {_show(value)}")
    if size not in input_.choices and not _fits_grid(input_, size):
        raise InputError(input_.name, f"{show_size(size)} is not a size that the model draws; {_allowed_sizes(input_)}")
    return size


def parse_size(value: Any) -> tuple[int, int] | None:
    """(height, width) from a pair of that order, or from a text "1024x768" of width x height; None if it is neither."""
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", value.strip().lower())
        value = (int(match[2]), int(match[1])) if match else None
    if not isinstance(value, tuple | list) or len(value) != 2:
        return None
    if any(isinstance(side, bool) or not isinstance(side, int) or not 0 < side < INT_LIMIT for side in value):
        return None
    return value[0], value[1]


def show_size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"


def _fits_grid(input_: Input, size: tuple[int, int]) -> bool:
    if input_.choices and input_.multiple_of is None:
        return False
    low = input_.minimum if input_.minimum is not None else 1
    high = input_.maximum if input_.maximum is not None else INT_LIMIT
    return all(low <= side <= high and side % (input_.multiple_of or 1) == 0 for side in size)


def _allowed_sizes(input_: Input) -> str:
    if input_.multiple_of is not None:
        return f"allowed are sides that are multiples of {input_.multiple_of}{_bounds(input_).replace('; choose', ',')}"
    if not input_.choices:
        return f"each side has its limits{_bounds(input_)}"
    sizes = [show_size(size) for size in input_.choices if isinstance(size, tuple)]
    return f"allowed (width x height): {_some(sizes)}"


_CHECKS: dict[Type, Callable[[Input, Any], Scalar]] = {
    TEXT: _check_text, INT: _check_int, FLOAT: _check_float, BOOL: _check_bool, SIZE: _check_size,
}  # fmt: skip


# ------------------------------------------------------------------------------------------- narrowing


def narrow(
    input_: Input,
    minimum: int | float | None = None,
    maximum: int | float | None = None,
    multiple_of: int | None = None,
    choices: tuple[Scalar, ...] = (),
    words: tuple[str, ...] = (),
    max_words: int | None = None,
    max_chars: int | None = None,
) -> Input:
    """`input_` with limits added; what was allowed by both stays allowed.

    raises    InputError when nothing is left, for example two models without a size in common
    """
    both_words = _both(input_.words, words)
    both_choices = _both_choices(input_, multiple_of, choices)
    if (words and input_.words and not both_words) or (choices and input_.choices and not both_choices):
        raise InputError(input_.name, "the models that use it have no allowed value in common")
    unit = math.lcm(input_.multiple_of or 1, multiple_of or 1)
    is_listed = (choices and multiple_of is None) or (input_.choices and input_.multiple_of is None)
    return replace(
        input_,
        minimum=_tighter(max, input_.minimum, minimum),
        maximum=_tighter(min, input_.maximum, maximum),
        multiple_of=None if is_listed or unit == 1 else unit,
        choices=both_choices,
        words=both_words,
        max_words=_tighter(min, input_.max_words, max_words),
        max_chars=_tighter(min, input_.max_chars, max_chars),
    )


def _both(first: tuple[Any, ...], second: tuple[Any, ...]) -> tuple[Any, ...]:
    """Members of both, in the order of the first; an empty tuple means no limit."""
    return tuple(item for item in first if item in second) if first and second else first or second


def _both_choices(input_: Input, multiple_of: int | None, choices: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    """Choices of a grid (`multiple_of`) are only its "auto": a list of sizes on the other side decides."""
    if not choices or not input_.choices:
        return input_.choices or choices
    if input_.multiple_of is not None and multiple_of is not None:
        return input_.choices
    if multiple_of is not None:
        return tuple(c for c in input_.choices if isinstance(c, tuple) and not any(s % multiple_of for s in c))
    if input_.multiple_of is not None:
        unit = input_.multiple_of
        return tuple(c for c in choices if isinstance(c, tuple) and not any(s % unit for s in c))
    return _both(input_.choices, choices)


def _tighter(pick: Callable[[Any, Any], Any], first: Any, second: Any) -> Any:
    return pick(first, second) if first is not None and second is not None else first if second is None else second


# --------------------------------------------------------------------------------------------- wording


def _what(input_: Input) -> str:
    kind = {"text": "a text", "int": "a whole number", "float": "a number", "bool": "true or false"}
    kind |= {"size": "a size", "image": "an image"}
    return kind.get(input_.type.space, input_.type.space) + (f" ({input_.doc})" if input_.doc else "")


def _suggest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word[:80], known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _some(things: Sequence[object], limit: int = MAX_SHOWN) -> str:
    shown = ", ".join(str(thing) for thing in things[:limit])
    return shown + (f" and {len(things) - limit} more" if len(things) > limit else "")


def _show(value: Any) -> str:
    shown = repr(value)[:41]
    return f"{type(value).__name__} {shown if len(shown) <= 40 else shown[:37] + '...'}"
