"""Text encoders of image families: reading their directories, and emitting their nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from brickwork.core.errors import ModelError
from brickwork.core.model import ModelSpec
from brickwork.core.request import Scalar
from brickwork.graph.types import Type
from brickwork.workflow.components import Component, Index, read_component
from brickwork.workflow.identity import model_spec
from brickwork.workflow.trace import Value, emit

CLIP_TOKENIZERS = ("CLIPTokenizer", "CLIPTokenizerFast")
T5_TOKENIZERS = ("T5Tokenizer", "T5TokenizerFast")

KINDS = {"CLIPTextModelWithProjection": "clip_text", "CLIPTextModel": "clip_plain", "T5EncoderModel": "t5_text"}


@dataclass(frozen=True)
class Conditioning:
    """A text as a family's denoiser takes it: tensors by the name of the port, without `negative_`."""

    parts: Mapping[str, Value]
    adapters: Value | None = None  # what changed the encoders: the negative text that nobody gave gets it, too

    @property
    def embeds(self) -> Value:
        """The embedding of every token; all families have it."""
        return self.parts["embeds"]


@dataclass(frozen=True)
class TextModel:
    """A text encoder: `pooled` is 0 where it has no such output."""

    spec: ModelSpec
    tokens: int
    width: int
    lora: str  # how the files of adapters call it: "sdxl:text_encoder_2"
    pooled: int = 0

    def type(self, shape: tuple[int, ...]) -> Type:
        """The type of one of its outputs."""
        return Type("embedding", self.spec.id, self.spec.dtype, shape)

    def emit(self, op: str, text: Value, adapters: Value, *ports: str) -> dict[str, Value]:
        """A node that encodes `text`.

        ports     which of `hidden` [1, tokens, width] and `pooled` [1, pooled] the operation gives
        """
        shapes = {"hidden": (1, self.tokens, self.width), "pooled": (1, self.pooled)}
        outputs = {port: self.type(shapes[port]) for port in ports}
        attrs: dict[str, Scalar] = {"max_length": self.tokens, "lora": self.lora}
        return emit(op, {"text": text, "adapters": adapters}, outputs, model=self.spec, attrs=attrs)


def read_clip(
    root: Path, index: Index, name: str, class_name: str, tokenizer: Component, tokens: int, family: str
) -> TextModel:
    """The CLIP encoder `name` of a family, whose texts are padded to `tokens`."""
    clip = read_component(root, index, name, (class_name,))
    if tokens > (places := clip.get("max_position_embeddings", int)):
        raise ModelError(f"{clip.directory}: texts are padded to {tokens} tokens, but it has {places} positions.")
    width = clip.get("hidden_size", int)
    pooled = clip.get("projection_dim", int) if class_name == "CLIPTextModelWithProjection" else width
    spec = model_spec(KINDS[class_name], clip, tokenizer)
    return TextModel(spec, tokens, width, f"{family}:{name}", pooled)


def read_clip_tokenizer(root: Path, index: Index, name: str) -> Component:
    return read_component(root, index, name, CLIP_TOKENIZERS)


def read_t5(root: Path, index: Index, encoder: str, tokenizer: str, tokens: int, family: str) -> TextModel:
    """The T5 encoder `encoder`. It gets no mask, so `tokens`, the padded length, is part of the result."""
    t5 = read_component(root, index, encoder, ("T5EncoderModel",))
    pieces = read_component(root, index, tokenizer, T5_TOKENIZERS)
    tokens = min(tokens, int(pieces.config.get("model_max_length", tokens)))
    spec = model_spec("t5_text", t5, pieces)
    return TextModel(spec, tokens, t5.get("d_model", int), f"{family}:{encoder}")
