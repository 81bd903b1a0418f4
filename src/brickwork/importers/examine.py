"""All that is wrong with a model directory, not only the first thing. Reads headers, no weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.workflow.components import read_json, stored_tensors, weight_files

WEIGHTLESS = ("scheduler", "tokenizer", "feature_extractor", "image_processor", "safety_checker", "processor")


def problems(root: Path) -> list[str]:
    """Sentences that name a file or a component each; empty when every component can be read."""
    try:
        index = read_json(root / "model_index.json")
    except ModelError as error:
        return [str(error)]
    return [problem for name, entry in index.items() for problem in _of_component(root, name, entry)]


def _of_component(root: Path, name: str, entry: Any) -> Iterator[str]:
    if name.startswith("_") or not isinstance(entry, list) or len(entry) != 2 or entry[1] is None:
        return
    directory = root / name
    if not directory.is_dir():
        yield f"{directory} is missing, but model_index.json lists it."
        return
    if name.startswith(WEIGHTLESS):
        return
    try:
        list(stored_tensors(weight_files(directory)))
    except ModelError as error:
        yield str(error)
