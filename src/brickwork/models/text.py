"""Text encoders: CLIP and T5, tokenizer included. Batched calls are one forward.

source    diffusers StableDiffusionPipeline.encode_prompt, StableDiffusionXLPipeline.encode_prompt,
          StableDiffusion3Pipeline._get_clip_prompt_embeds, ._get_t5_prompt_embeds, FluxPipeline; no attention mask is
          passed, so `max_length` is part of the meaning
"""

from dataclasses import dataclass
from typing import Any

import torch

from brickwork.models import lora
from brickwork.models.ops import Call, Op, Outputs


@dataclass(slots=True)
class TextEncoder:
    """A text model with its tokenizer; together they are one model identity."""

    model: Any
    tokenizer: Any

    def token_ids(self, calls: list[Call]) -> torch.Tensor:
        """ids [calls, max_length] int64, padded and truncated to `max_length`."""
        texts = [call.args["text"] for call in calls]
        length = calls[0].attrs["max_length"]
        tokens = self.tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        return tokens.input_ids

    def forward(self, calls: list[Call], **options: Any) -> Any:
        """One call of the model for all texts, each with its adapters."""
        with lora.applied(self.model, calls[0].attrs["lora"], [(call.args["adapters"], 1) for call in calls]):
            return self.model(self.token_ids(calls), **options)


def clip(encoder: TextEncoder, calls: list[Call]) -> list[Outputs]:
    """text -> hidden [1, max_length, width] (last but one layer), pooled [1, projection]; in the model's dtype."""
    out = encoder.forward(calls, output_hidden_states=True)
    return _split(len(calls), out.hidden_states[-2], out[0])


def clip_inner(encoder: TextEncoder, calls: list[Call]) -> list[Outputs]:
    """text -> hidden [1, max_length, width] of the last but one layer; in the model's dtype."""
    return _split(len(calls), encoder.forward(calls, output_hidden_states=True).hidden_states[-2])


def clip_last(encoder: TextEncoder, calls: list[Call]) -> list[Outputs]:
    """text -> hidden [1, max_length, width] of the last layer, normalised; in the model's dtype."""
    return _split(len(calls), encoder.forward(calls)[0])


def clip_pooled(encoder: TextEncoder, calls: list[Call]) -> list[Outputs]:
    """text -> pooled [1, width]: the last layer at the end of the text; in the model's dtype."""
    return _split(len(calls), encoder.forward(calls, output_hidden_states=False).pooler_output)


def t5(encoder: TextEncoder, calls: list[Call]) -> list[Outputs]:
    """text -> hidden [1, max_length, width]; in the model's dtype."""
    return _split(len(calls), encoder.forward(calls)[0])


def _split(count: int, *tensors: torch.Tensor) -> list[Outputs]:
    return [tuple(tensor[k : k + 1].contiguous() for tensor in tensors) for k in range(count)]


OPS: dict[str, Op] = {
    "text.clip": clip, "text.clip_inner": clip_inner, "text.clip_last": clip_last, "text.clip_pooled": clip_pooled,
    "text.t5": t5,
}  # fmt: skip
