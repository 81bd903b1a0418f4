"""Adapters in memory: low-rank pairs read from files, never more bytes than the share of the budget that is for them.

The adapters of one call of a model are in memory together. Others stay while there is room, the most recently used the
longest, and for no longer than the model that they were read for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from brickwork.core.errors import ModelError
from brickwork.models.lora_files import Layers, read_layers

DEFAULT_BYTES = 256 * 2**20
"""The limit where nobody sets one: outside an executor."""

Key = tuple[str, str]
"""(digest of the file, part)"""


@dataclass(slots=True)
class _Entry:
    layers: Layers
    nbytes: int
    used: int  # rises with every use


class AdapterCache:
    """Used by the thread that runs batches, emptied by the one that loads models."""

    def __init__(self, max_bytes: int):
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._uses = count()
        self._entries: WeakKeyDictionary[Any, dict[Key, _Entry]] = WeakKeyDictionary()  # by model

    def limit(self, max_bytes: int) -> None:
        """From now on hold no more than `max_bytes`."""
        self._max_bytes = max_bytes

    def clear(self) -> None:
        """Forget all; what a running call uses is freed when it ends."""
        with self._lock:
            self._entries.clear()

    @property
    def held_bytes(self) -> int:
        return sum(entry.nbytes for of_model in self._entries.values() for entry in of_model.values())

    def take(self, files: Mapping[str, Path], part: str, model: Any) -> dict[str, Layers]:
        """The pairs of the files for one component, all in memory together.

        files     path by digest
        part      "<family>:<component>" as in the files: "sdxl:unet", "sd3:text_encoder_2"
        model     the component; every layer named by a file must be one of its, and fit it
        raises    ModelError that names the file and the tensor, or what they need when that is more than the limit
        """
        with self._lock:
            return {digest: self._one(digest, files, part, model) for digest in files}

    def _one(self, digest: str, files: Mapping[str, Path], part: str, model: Any) -> Layers:
        of_model = self._entries.setdefault(model, {})
        if (entry := of_model.get((digest, part))) is None:
            layers = read_layers(digest, files[digest], part, model)
            entry = _Entry(layers, sum(pair.down.nbytes + pair.up.nbytes for pair in layers.values()), 0)
            self._make_room(entry.nbytes, files, part, model)
            of_model[digest, part] = entry
        entry.used = next(self._uses)
        return entry.layers

    def _make_room(self, nbytes: int, files: Mapping[str, Path], part: str, model: Any) -> None:
        """Forget the least recently used that this call does not need until `nbytes` more fit."""
        others = [
            (entry.used, of_model, key)
            for each, of_model in self._entries.items()
            for key, entry in of_model.items()
            if each is not model or key[0] not in files
        ]
        others.sort(key=lambda other: other[0], reverse=True)
        while self.held_bytes + nbytes > self._max_bytes and others:
            _, of_model, key = others.pop()
            del of_model[key]
        if self.held_bytes + nbytes > self._max_bytes:
            raise ModelError(
                f"The {len(files)} adapters of one batch for {part} need more than the {self._max_bytes:,} bytes of "
                f"the executor's memory budget that are for adapters ({', '.join(map(str, files.values()))}). Raise "
                "the budget, or use fewer or smaller ones."
            )


adapters = AdapterCache(DEFAULT_BYTES)
"""This process's."""
