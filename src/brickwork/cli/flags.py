"""Between the text of the command line and the values of workflow inputs."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from brickwork.core.errors import InputError
from brickwork.graph.ir import Input

_TRUE = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_UNITS = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def parse_inputs(declared: Sequence[Input], given: dict[str, str]) -> dict[str, Any]:
    """Values of the given flags, typed as the workflow declares them.

    raises    InputError that names the input and what was expected
    """
    by_name = {item.name: item for item in declared}
    return {name: _parse(by_name[name], text) for name, text in given.items()}


def _parse(item: Input, text: str) -> Any:
    space = item.type.space
    if space == "bool":
        if text.lower() not in _TRUE:
            raise InputError(item.name, f"expected true or false, got {text!r}")
        return _TRUE[text.lower()]
    convert: dict[str, tuple[Callable[[str], Any], str]] = {
        "int": (int, "a whole number"),
        "float": (float, "a number"),
    }
    if space not in convert:
        return text
    function, expected = convert[space]
    try:
        return function(text)
    except ValueError:
        raise InputError(item.name, f"expected {expected}, got {_short(text)!r}") from None


def parse_bytes(field: str, text: str) -> int:
    """`512MiB`, `1GiB`, `2000000` -> bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text.strip())
    unit = match.group(2).upper() if match else None
    if match is None or unit not in _UNITS:
        raise InputError(field, f"expected a size such as 512MiB or 1GiB, got {_short(text)!r}")
    return int(float(match.group(1)) * _UNITS[unit])


PRECISION_HELP = "bf16 for all models, or transformer=int8,text_encoder=bf16 for some; fp32, bf16, fp16, int8"


def parse_precision(text: str) -> str | dict[str, str]:
    """`bf16`, or `transformer=int8,vae=bf16`, as `bw.family` takes it."""
    if "=" not in text:
        return text
    pairs = [part.partition("=") for part in text.split(",")]
    return {name.strip(): word.strip() for name, _, word in pairs}


def variant_of(precision: str | None, compiled: bool) -> dict[str, Any]:
    """What the flags --precision and --compile say, as `bw.family` takes it; nothing when neither is given."""
    return ({"precision": parse_precision(precision)} if precision else {}) | ({"compile": True} if compiled else {})


def shown(item: Input) -> str:
    """One line of help: what the input is, its bounds, its default."""
    parts = [item.doc] if item.doc else []
    if item.choices:
        parts.append("One of " + ", ".join(_size(choice) for choice in item.choices) + ".")
    if item.minimum is not None and item.maximum is not None:
        parts.append(f"{item.minimum} to {item.maximum}.")
    parts.append(f"[default: {_size(item.default)}]")
    return " ".join(parts)


def _size(value: object) -> str:
    if isinstance(value, tuple):
        height, width = value
        return f"{width}x{height}"
    return repr(value) if (isinstance(value, str) and " " in value) or value == "" else str(value)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "..."
