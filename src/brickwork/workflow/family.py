"""What every family shares: its directory, the border that it declares (`brickwork.json`), and checked calls."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from brickwork.core.errors import ModelError
from brickwork.workflow.components import Index, read_json
from brickwork.workflow.lines import mistake

P = ParamSpec("P")
R = TypeVar("R")


class Family:
    """A model directory whose operations add nodes to a workflow. Constructing one reads files, but no weights."""

    def __init__(self, root: Path, index: Index) -> None:
        self.root = root
        self.index = index

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.root}>"


def operation(method: Callable[P, R]) -> Callable[P, R]:
    """A family's method as authors call it: a wrong argument list is a mistake in the author's line."""
    signature = inspect.signature(method)
    names = list(signature.parameters)[1:]
    takes = ", ".join(names)

    @functools.wraps(method)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if wrong := [name for name in kwargs if name not in names]:
            near = "".join(f", perhaps {name}" for name in difflib.get_close_matches(wrong[0], names, n=1))
            raise mistake(f"{method.__name__}: there is no {wrong[0]}{near}; it takes {takes}")
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise mistake(f"{method.__name__}: {error}; it takes {takes}") from None
        return method(*args, **kwargs)

    return checked


KEYS = ("sizes", "defaults", "words", "max_words", "licence", "training")
"""Of a `brickwork.json`. The last two are for people: under which licence the weights are, and how they were made."""


@dataclass(frozen=True)
class Border:
    """What a model says about its inputs, in the `brickwork.json` beside its model_index.json. All is optional."""

    sizes: tuple[tuple[int, int], ...] = ()  # (height, width); the first is native
    steps: int | None = None
    guidance: float | None = None
    frames: int | None = None  # of a clip
    frames_per_second: int | None = None
    words: tuple[str, ...] = ()
    max_words: int | None = None


def read_border(root: Path) -> Border:
    """The border of a model directory; the empty one when it has no brickwork.json."""
    path = root / "brickwork.json"
    if not path.exists():
        return Border()
    content = read_json(path)
    if unknown := sorted(set(content) - set(KEYS)):
        raise ModelError(f"{path}: unknown key {unknown[0]!r}; expected {', '.join(KEYS)}.")
    defaults = content.get("defaults", {})
    try:
        return Border(
            sizes=tuple((_whole(height), _whole(width)) for height, width in content.get("sizes", ())),
            steps=_whole(defaults["steps"]) if "steps" in defaults else None,
            guidance=float(defaults["guidance"]) if "guidance" in defaults else None,
            frames=_whole(defaults["frames"]) if "frames" in defaults else None,
            frames_per_second=_whole(defaults["frames_per_second"]) if "frames_per_second" in defaults else None,
            words=tuple(_word(word) for word in content.get("words", ())),
            max_words=_whole(content["max_words"]) if "max_words" in content else None,
        )
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path} is not as expected: {error}.") from None


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"expected a positive whole number, found {value!r}")
    return value


def _word(value: Any) -> str:
    if not isinstance(value, str) or value != value.lower() or len(value.split()) != 1:
        raise ValueError(f"expected a word in lower case, found {value!r}")
    return value
