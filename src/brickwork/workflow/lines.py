"""Whose line is it? Finds the author's `file:line` on the stack, for nodes and for errors."""

from __future__ import annotations

import sys
from pathlib import Path

from brickwork.core.errors import WorkflowError

_PACKAGE = Path(__file__).parents[1]
_MACHINERY = tuple(f"{_PACKAGE / room}/" for room in ("workflow", "graph", "compiler", "models"))
"""Rooms that run between the author's line and us. `starter` is not among them: its workflows have an author too."""


def author_line() -> str:
    """`file:line` of the innermost frame outside of the machinery; "" when there is none."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_MACHINERY):
        if frame.f_back is None:
            return ""
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def mistake(message: str) -> WorkflowError:
    """The error to raise for a mistake in the line that the author is just executing."""
    return WorkflowError(message, author_line() or None)
