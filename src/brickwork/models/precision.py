"""Models in a narrower dtype, with 8-bit weights, or compiled: makes what `workflow/variants.py` declares.

A model takes tensors of any floating dtype and computes in its own; what it gives is widened where the graph's types
say so (latents, velocities, pixels are float32 everywhere; embeddings and residuals have their model's dtype).
Weights are converted one tensor after the other as they are read, so that no wide copy of a model ever stands in
memory. Compiled models compile at the first call of each new shape, which takes seconds to minutes and is told in the
executor's log; without a C++ compiler they run uncompiled, which is told as well.
"""

import contextlib
import ctypes
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from time import monotonic
from typing import Any

import torch

from brickwork.core.errors import ModelError
from brickwork.core.model import ModelSpec
from brickwork.workflow.variants import EMBEDDINGS, REFERENCE, variant_of

log = logging.getLogger(__name__)

os.environ.setdefault("HF_DEACTIVATE_ASYNC_LOAD", "1")
"""transformers otherwise converts all tensors ahead in threads of its own, so that all stand in memory at once."""

M_MMAP_THRESHOLD = -3  # malloc.h
OWN_PAGES_BYTES = 256 << 10
MOST_IN_HEAP_BYTES = 32 << 20  # where glibc's own threshold ends up in a process that frees large tensors

KEPT = "timestep"
"""The argument that is not cast: bf16 tells 1,000 timesteps apart only by fours, and models embed them in fp32."""


def load_options(spec: ModelSpec, library: str) -> dict[str, Any]:
    """How `from_pretrained` of a library ("diffusers" or "transformers") makes the variant of a spec.

    raises    ModelError when the library for 8-bit weights is missing
    """
    options: dict[str, Any] = {"dtype" if library == "transformers" else "torch_dtype": getattr(torch, spec.dtype)}
    if variant_of(spec).precision == "int8":
        options["quantization_config"] = _eight_bits(spec, library)
    return options


def _eight_bits(spec: ModelSpec, library: str) -> Any:
    if find_spec("torchao") is None:
        raise ModelError(f"{spec.id}: int8 needs torchao on every executor; pip install 'brickwork[int8]'.")
    import diffusers
    import transformers
    from torchao.quantization import Int8WeightOnlyConfig

    wrap = {"diffusers": diffusers.TorchAoConfig, "transformers": transformers.TorchAoConfig}[library]
    # Said in full: by default each library leaves other layers alone, and bytes would not be those that are declared.
    return wrap(Int8WeightOnlyConfig(set_inductor_config=False), modules_to_not_convert=list(EMBEDDINGS))


@contextlib.contextmanager
def converting(spec: ModelSpec) -> Iterator[None]:
    """While inside, large tensors get pages of their own, which go back to the kernel with them.

    glibc otherwise keeps what conversion frees between what is kept: four times an 8-bit model, measured.
    """
    if variant_of(spec) == REFERENCE:
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, OWN_PAGES_BYTES)
    try:
        yield
    finally:
        libc.mallopt(M_MMAP_THRESHOLD, MOST_IN_HEAP_BYTES)


def factors(weights: torch.Tensor) -> torch.Tensor:
    """The floating numbers that a tensor of weights is made of: itself, or the scales of its 8-bit rows."""
    return getattr(weights, "scale", weights)


def prepare(model: Any, spec: ModelSpec) -> None:
    """Make a loaded model take tensors of any dtype, and compile it when its variant says so."""
    model.register_forward_pre_hook(_casting(getattr(torch, spec.dtype)), with_kwargs=True)
    if variant_of(spec).is_compiled:
        _compile(model, spec)


def _casting(dtype: torch.dtype) -> Any:
    def hook(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        named = {name: value if name == KEPT else _cast(value, dtype) for name, value in kwargs.items()}
        return _cast(args, dtype), named

    return hook


def _cast(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, tuple | list):
        return type(value)(_cast(item, dtype) for item in value)
    return {name: _cast(item, dtype) for name, item in value.items()} if isinstance(value, dict) else value


def _compile(model: Any, spec: ModelSpec) -> None:
    """Compile the calls of a model; an autoencoder's encoder and decoder, as nobody calls the whole."""
    from torch._inductor import config
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except RuntimeError as error:
        log.error("%s runs uncompiled: torch.compile needs a C++ compiler (%s). Install g++.", spec.id, error)
        return
    config.compile_threads = 1  # in this process: helpers would outlive an executor that is killed
    torch._dynamo.config.suppress_errors = True  # what can't be compiled runs as it is, with a warning
    is_autoencoder = hasattr(model, "encoder") and hasattr(model, "decoder")
    for part in (model.encoder, model.decoder) if is_autoencoder else (model,):
        part.compile()
    _watch_compiling()


@dataclass(slots=True)
class _Clock:
    """How long this process has compiled."""

    is_watching: bool = False
    began_s: float = 0.0
    total_s: float = 0.0

    def begin(self, *_: Any) -> None:
        self.began_s = monotonic()

    def end(self, *_: Any) -> None:
        took_s = monotonic() - self.began_s
        self.total_s += took_s
        log.warning("compiling for new shapes took %.1f s", took_s)


_clock = _Clock()


def _watch_compiling() -> None:
    from torch._dynamo.callback import callback_handler

    if not _clock.is_watching:
        _clock.is_watching = True
        callback_handler.register_start_callback(_clock.begin)
        callback_handler.register_end_callback(_clock.end)


def compiling_s() -> float:
    """Seconds that this process has compiled: no part of what a call takes, as they come once for each new shape."""
    return _clock.total_s


@contextlib.contextmanager
def uncompiled(model: Any) -> Iterator[None]:
    """While inside, a compiled model runs as it is: compiled code does not see hooks that come and go."""
    if getattr(model, "_compiled_call_impl", None) is None:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
