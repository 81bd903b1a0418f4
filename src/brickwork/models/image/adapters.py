"""LoRA adapters as an author names them: files and scales, which travel as one text with every row.

    loras=[("ink.safetensors", 0.8), ("lines.safetensors", strength)]      strength may be an input of the request
    ->  "adapters\n0.8 3f2a... /models/ink.safetensors\n0.5 9c41... /models/lines.safetensors\n"

The text is data of a row, not part of the program, so requests with other adapters, or none, share a batch
(docs/adr/0011-adapters-are-data.md). What a file holds is read where the model runs (`models/lora.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.graph.types import FLOAT, TEXT
from brickwork.workflow.arguments import constrain, expect
from brickwork.workflow.components import stored_tensors
from brickwork.workflow.identity import ID_DIGITS, file_digest
from brickwork.workflow.lines import mistake
from brickwork.workflow.trace import Value, arithmetic, constant

HEADER = "adapters\n"
"""The text that names none. Not the empty text: equal constants are one argument of a program, and then a program that
encodes "" without adapters would be another than one that encodes "a cat"."""

MAX_SCALE = 100.0
MAX_ADAPTERS = 16


def adapters_value(label: str, loras: Iterable[Any]) -> Value:
    """The text that names `loras`: pairs of a safetensors file and a scale, or files alone (scale 1)."""
    text = expect(label, HEADER, TEXT)
    listed = list(loras)
    if len(listed) > MAX_ADAPTERS:
        raise mistake(f"{label}: {len(listed)} adapters; at most {MAX_ADAPTERS} are possible")
    for given in listed:
        path, scale = given if isinstance(given, tuple | list) and len(given) == 2 else (given, 1.0)
        value = expect(f"{label}: scale", scale, FLOAT)
        constrain(f"{label}: scale", value, minimum=-MAX_SCALE, maximum=MAX_SCALE)
        text = arithmetic("scalar.line", text, value, constant(_line(label, path)))
    return text


def _line(label: str, path: Any) -> str:
    if not isinstance(path, str | Path):
        raise mistake(f"{label}: expected the path of a safetensors file, got {path!r}")
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise ModelError(f"{path} is no file; expected a LoRA as one safetensors file.")
    if file.suffix != ".safetensors":
        raise ModelError(f"{path} is not a .safetensors file; loading other formats would run code. Convert it first.")
    if "\n" in str(file):
        raise ModelError(f"{file!r} has a line break in its name; rename it.")
    list(stored_tensors([file]))
    return f"{file_digest(file)[:ID_DIGITS]} {file}"
