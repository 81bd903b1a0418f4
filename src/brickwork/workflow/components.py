"""Reads one component (a model, a tokenizer) of a Diffusers directory, without torch, and says exactly what is wrong.

Weights are looked at through the header of their safetensors files only: names, shapes, lengths. A file that is
shorter than its header promises is refused here, before an executor tries to load it. Pickled weights (.bin, .pt)
are refused: loading them runs code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from brickwork.core.errors import ModelError
from brickwork.workflow.variants import AS_REFERENCE, FLOAT_BYTES, REFERENCE, Variant, Variants

STEMS = ("model", "diffusion_pytorch_model")
"""File stems of weights, as transformers and diffusers write them."""

CONFIG_NAMES = {"scheduler": "scheduler_config.json", "image_processor": "preprocessor_config.json"}
"""Of the components whose configuration is not called config.json; tokenizers are read by their prefix."""

FLOATS = tuple(FLOAT_BYTES)
"""Dtypes of safetensors that weights may be stored in."""

MAX_HEADER_BYTES = 100 * 2**20
"""The limit of the safetensors format."""

T = TypeVar("T")


@dataclass(frozen=True)
class Index:
    """What a model_index.json says, and in which variants the user wants its components."""

    entries: Mapping[str, Any]
    variants: Variants = AS_REFERENCE

    def get(self, name: str, default: Any = None) -> Any:
        return self.entries.get(name, default)


@dataclass(frozen=True)
class Component:
    """One component's directory, its class by model_index.json, its configuration, and the variant to use it in."""

    name: str
    directory: Path
    class_name: str
    config: dict[str, Any]
    variant: Variant = REFERENCE

    def get(self, key: str, kind: type[T]) -> T:
        """`config[key]`, which must be of `kind` (an int may stand for a float)."""
        value = self.config.get(key)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ModelError(f"{self.directory}: expected {key} ({kind.__name__}) in its config, found {value!r}.")
        return value


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; raises ModelError when there is no such file or no such object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; the model directory is incomplete.") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} can't be read: {error}.") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path}: expected a JSON object, found {type(value).__name__}.")
    return value


def is_listed(index: Index, name: str) -> bool:
    """True when model_index.json names a class for the component; pipelines may do without some."""
    entry = index.get(name)
    return isinstance(entry, list) and len(entry) == 2 and entry[1] is not None


def read_component(root: Path, index: Index, name: str, classes: tuple[str, ...]) -> Component:
    """The component `name` of the pipeline in `root`, when it is of one of `classes`."""
    entry = index.get(name)
    class_name = entry[1] if isinstance(entry, list) and len(entry) == 2 else None
    if class_name is None:
        raise ModelError(f"{root}: model_index.json lists no {name}; expected one of class {' or '.join(classes)}.")
    if class_name not in classes:
        raise ModelError(f"{root}: {name} is a {class_name}; supported: {', '.join(classes)}.")
    directory = root / name
    if not directory.is_dir():
        raise ModelError(f"{directory} is missing, but model_index.json lists it.")
    config_name = CONFIG_NAMES.get(name, "config.json")
    if name.startswith("tokenizer"):
        config_name = "tokenizer_config.json"
    return Component(name, directory, str(class_name), read_json(directory / config_name), index.variants.of(name))


def read_model(directory: Path, classes: tuple[str, ...], variant: Variant) -> Component:
    """A model in a directory of its own (a ControlNet, an upscaler), when it is of one of `classes`."""
    if not directory.is_dir():
        raise ModelError(f"{directory} is no directory; expected a model as save_pretrained writes it.")
    config = read_json(directory / "config.json")
    class_name = config.get("_class_name") or next(iter(config.get("architectures") or ()), None)
    if class_name not in classes:
        raise ModelError(f"{directory} is a {class_name}; supported: {', '.join(classes)}.")
    return Component(directory.name, directory, str(class_name), config, variant)


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a model: one, or the shards that its index lists."""
    for stem in STEMS:
        if (single := directory / f"{stem}.safetensors").is_file():
            return [single]
        if (listing := directory / f"{stem}.safetensors.index.json").is_file():
            shards = sorted({str(name) for name in read_json(listing).get("weight_map", {}).values()})
            files = [directory / shard for shard in shards]
            if not files or any(file.parent != directory or not file.is_file() for file in files):
                raise ModelError(f"{listing} lists shards that are not beside it: {', '.join(shards) or 'none'}.")
            return files
    if pickled := sorted(path.name for ending in ("bin", "pt", "ckpt") for path in directory.glob(f"*.{ending}")):
        raise ModelError(
            f"{directory} has pickled weights only ({pickled[0]}), and loading those would run code. "
            "Save it again with safe_serialization=True."
        )
    raise ModelError(f"{directory} has no weights; expected {' or '.join(f'{stem}.safetensors' for stem in STEMS)}.")


@dataclass(frozen=True)
class Stored:
    """One tensor of a safetensors file, by its header."""

    name: str
    shape: tuple[int, ...]
    dtype: str  # as safetensors calls it: "BF16"


def stored_tensors(files: list[Path]) -> Iterator[Stored]:
    """What the files hold, by their headers.

    raises    ModelError for a file that is not as long as its header says, or holds what weights are not made of
    """
    for file in files:
        yield from _stored_in(file)


def _stored_in(file: Path) -> list[Stored]:
    size = file.stat().st_size
    try:
        header, start = _read_header(file, size)
        tensors = [entry for name, entry in header.items() if name != "__metadata__"]
        end = max((int(entry["data_offsets"][1]) for entry in tensors), default=0)
        found = [
            Stored(name, tuple(int(axis) for axis in entry["shape"]), str(entry["dtype"]))
            for name, entry in header.items()
            if name != "__metadata__"
        ]
        odd = sorted((name, entry["dtype"]) for name, entry in header.items() if _is_odd(name, entry))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(f"{file} is no safetensors file, or its header is broken ({error}); copy it anew.") from None
    if start + end != size:
        raise ModelError(f"{file} has {size:,} bytes, but its header promises {start + end:,}; copy it anew.")
    if odd:
        name, dtype = odd[0]
        raise ModelError(f"{file}: {name} is {dtype}; supported weights: {', '.join(FLOATS)}.")
    return found


def _is_odd(name: str, entry: dict[str, Any]) -> bool:
    """True of quantised or foreign weights; whole numbers are fine in buffers (positions, tables)."""
    is_weight = name.endswith((".weight", ".bias"))
    return name != "__metadata__" and entry["dtype"] not in (FLOATS if is_weight else (*FLOATS, "I64", "I32", "BOOL"))


def _read_header(file: Path, size: int) -> tuple[dict[str, Any], int]:
    """The header and the offset at which tensors start."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > min(MAX_HEADER_BYTES, size):
            raise ValueError("it is cut short")
        header = json.loads(stream.read(length))
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    return header, 8 + length
