"""In which variant the models of a directory are used: how precisely, and whether their calls are compiled.

    bw.family(path)                                                          fp32, bit for bit the reference
    bw.family(path, precision="bf16")                                        every model of the directory
    bw.family(path, precision={"transformer": "int8"}, compile=True)         one of them; the others stay fp32

A variant is part of a model's identity: two variants of the same files are two replicas, with bytes and a profile of
their own. How weights are stored does not matter. No torch here; `models/precision.py` makes what this declares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.core.model import ModelSpec
from brickwork.core.tensor import ITEM_BYTES

WIDE = "float32"

PRECISIONS = {"fp32": WIDE, "bf16": "bfloat16", "fp16": "float16", "int8": "bfloat16"}
"""Word -> dtype that the model computes in. With int8 the weights of linear layers have 8 bits and a scale a row."""

CONTROLNET = "controlnet"
"""Stands for all ControlNets of a family, which no model_index.json lists."""

EMBEDDINGS = (
    "token_embedding", "position_embedding", "shared", "embed_tokens", "relative_attention_bias", "lm_head"
)  # fmt: skip
"""Layers whose weights are matrices that int8 leaves alone: they are looked up, not multiplied with (or never used)."""

KEPT_WIDE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "T5EncoderModel": {"float16": ("wo",)},
    "UMT5EncoderModel": {"float16": ("wo",)},
    "WanTransformer3DModel": dict.fromkeys(
        ("float16", "bfloat16"), ("rope", "time_embedder", "scale_shift_table", "norm1", "norm2", "norm3")
    ),
}
"""Parts of names of the parameters that the libraries keep in fp32 whatever is asked, since they overflow or drift."""


@dataclass(frozen=True)
class Variant:
    """How one model is used."""

    precision: str = "fp32"
    is_compiled: bool = False

    @property
    def dtype(self) -> str:
        """What the model computes in."""
        return PRECISIONS[self.precision]

    def nbytes(self, class_name: str, name: str, shape: tuple[int, ...], stored: str) -> int:
        """Resident bytes of one stored tensor: its name in the file, its shape, its dtype as safetensors calls it."""
        numbers = prod(shape)
        if stored not in FLOAT_BYTES:
            return numbers * WHOLE_BYTES[stored]
        kept = KEPT_WIDE.get(class_name, {}).get(self.dtype, ())
        if any(part in name for part in kept):
            return numbers * ITEM_BYTES[WIDE]
        if self.precision == "int8" and is_linear(name, shape):
            return numbers + shape[0] * ROW_BYTES
        return numbers * ITEM_BYTES[self.dtype]


ROW_BYTES = 5
"""Beside the weights of an 8-bit row: its scale (float32) and zero point."""

FLOAT_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
WHOLE_BYTES = {"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
"""Bytes of a number by the dtypes of safetensors."""


def is_linear(name: str, shape: tuple[int, ...]) -> bool:
    """True of the weights of linear layers, by what a file says of them."""
    *_, layer, kind = ("", *name.split("."))
    return kind == "weight" and len(shape) == 2 and layer not in EMBEDDINGS


REFERENCE = Variant()
"""The variant whose results are the reference pipelines', bit for bit."""


@dataclass(frozen=True)
class Variants:
    """What a user asked for: one word for all models of a directory, or some of them by their names."""

    precision: str | Mapping[str, str] = "fp32"
    compile: bool | Mapping[str, bool] = False

    def of(self, component: str) -> Variant:
        """The variant of a component of model_index.json, or of CONTROLNET."""
        precision, compiled = self.precision, self.compile
        return Variant(
            precision if isinstance(precision, str) else precision.get(component, "fp32"),
            compiled if isinstance(compiled, bool) else compiled.get(component, False),
        )

    def check(self, components: Iterable[str]) -> None:
        """Raise ModelError for words that mean nothing, and for components that the directory has not."""
        known = (*components, CONTROLNET)
        _check("precision", self.precision, known, lambda word: word in PRECISIONS, ", ".join(PRECISIONS))
        _check("compile", self.compile, known, lambda word: isinstance(word, bool), "True or False")


def _check(option: str, given: Any, known: tuple[str, ...], is_right: Callable[[Any], bool], expected: str) -> None:
    for name, word in given.items() if isinstance(given, Mapping) else [("", given)]:
        if name and name not in known:
            raise ModelError(f"{option}: there is no {name}; expected one of {', '.join(known)}.")
        if not is_right(word):
            raise ModelError(f"{option}{f' of {name}' if name else ''}: expected {expected}, found {word!r}.")


AS_REFERENCE = Variants()


def widest(specs: Iterable[ModelSpec]) -> str:
    """The dtype of what several models' results are joined to."""
    dtypes = {spec.dtype for spec in specs}
    return dtypes.pop() if len(dtypes) == 1 else WIDE


def variant_of(spec: ModelSpec) -> Variant:
    """The variant that a spec names."""
    extras = dict(spec.extras)
    words = {dtype: word for word, dtype in PRECISIONS.items() if word != "int8"}
    return Variant(extras.get("precision", words[spec.dtype]), "compile" in extras)


def described(spec: ModelSpec) -> str:
    """The variant in a few words, for people."""
    variant = variant_of(spec)
    return f"{variant.precision}, compiled" if variant.is_compiled else variant.precision
