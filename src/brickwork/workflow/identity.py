"""Which weights are these? ModelSpecs whose ids are equal exactly when config, weights, tokenizer and dtype are.

Two workflows that name the same files, or copies of them, get equal ids, and so share replicas and text encodings.
Reading gigabytes to learn their digest is done once: digests are remembered in the user's cache by path, size and
time of change. A cache that can't be read or written only costs time.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec
from brickwork.workflow.components import Component, stored_tensors, weight_files
from brickwork.workflow.variants import REFERENCE, Variant

ID_DIGITS = 16
"""Hex digits of a digest in an id: 64 bits, beyond any chance of two equal ones."""

SETTLED_S = 2.0
"""A file changed less than this ago is not remembered: it could change again within the same tick of its clock."""

_VERSION_KEYS = ("transformers_version", "torch_dtype", "dtype")


def model_spec(kind: str, component: Component, tokenizer: Component | None = None) -> ModelSpec:
    """The ModelSpec of a component in its variant.

    kind        loader key in `brickwork.models`
    tokenizer   its files become part of the identity, its directory an extra of the spec
    """
    files = weight_files(component.directory)
    variant, config = component.variant, plain_config(component.config)
    options = _options(variant)
    said = [kind, variant.dtype, component.class_name, config, *options]
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for part in [*files, *(_tokenizer_files(tokenizer) if tokenizer else [])]:
        digest.update(f"\n{part.name} {file_digest(part)}".encode())
    return ModelSpec(
        id=ModelId(f"{kind}-{digest.hexdigest()[:ID_DIGITS]}"),
        kind=kind,
        path=str(component.directory),
        dtype=variant.dtype,
        weight_bytes=sum(
            variant.nbytes(component.class_name, tensor.name, tensor.shape, tensor.dtype)
            for tensor in stored_tensors(files)
        ),
        profile=f"{component.class_name}-{_short(_profiled(config, variant))}",
        extras=((("tokenizer", str(tokenizer.directory)),) if tokenizer else ()) + options,
    )


def _options(variant: Variant) -> tuple[tuple[str, str], ...]:
    """What a loader must know of a variant beside its dtype."""
    narrow = (("precision", variant.precision),) if variant.precision == "int8" else ()
    return narrow + ((("compile", "yes"),) if variant.is_compiled else ())


def _profiled(config: Mapping[str, Any], variant: Variant) -> dict[str, Any]:
    """What decides speed: the configuration, and the variant when it is not the reference's."""
    said = {} if variant == REFERENCE else {"variant": [variant.precision, variant.is_compiled]}
    return dict(config) | said


def plain_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without paths, versions and class names: what decides shapes and speed."""
    return {key: value for key, value in config.items() if not key.startswith("_") and key not in _VERSION_KEYS}


def _short(config: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:8]


def _tokenizer_files(tokenizer: Component) -> list[Path]:
    return sorted(path for path in tokenizer.directory.iterdir() if path.is_file() and not path.name.startswith("."))


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes, remembered by its path, size and time of change."""
    path = path.resolve()
    try:
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns]
        known = _read_cache().get(str(path))
        if isinstance(known, list) and len(known) == 3 and known[:2] == stamp and isinstance(known[2], str):
            return known[2]
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error}.") from None
    if time.time() - stat.st_mtime > SETTLED_S:
        _remember({str(path): [*stamp, digest]})
    return digest


def _cache_file() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "brickwork" / "digests.json"


def _read_cache() -> dict[str, Any]:
    try:
        cache = json.loads(_cache_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):  # RuntimeError: the user has no home directory
        return {}
    return cache if isinstance(cache, dict) else {}


def _remember(entries: Mapping[str, Any]) -> None:
    """Write the cache anew, beside itself first: a reader sees the old one or the new one, never half of it."""
    try:
        target = _cache_file()
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=target.parent, delete=False, encoding="utf-8") as stream:
            json.dump(_read_cache() | dict(entries), stream)
        os.replace(stream.name, target)
    except (OSError, RuntimeError):
        return


def joint_owner(specs: Iterable[ModelSpec]) -> str:
    """Owner of a space that several models span together, such as the text conditioning of SD3."""
    return "joint-" + hashlib.sha256(" ".join(spec.id for spec in specs).encode()).hexdigest()[:ID_DIGITS]
