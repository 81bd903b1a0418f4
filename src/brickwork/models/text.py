"""Text encoders: CLIP and T5, tokenizer included. Batched calls are one forward.

source    diffusers StableDiffusion3Pipeline._get_clip_prompt_embeds, ._get_t5_prompt_embeds; no attention mask is
          passed, so `max_length` is part of the meaning
"""

from dataclasses import dataclass
from typing import Any

import torch

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


def clip(encoder: TextEncoder, calls: list[Call]) -> list[Outputs]:
    """text -> hidden [1, max_length, width] (last but one layer), pooled [1, projection]; float32."""
    out = encoder.model(encoder.token_ids(calls), output_hidden_states=True)
    hidden, pooled = out.hidden_states[-2], out[0]
    return [(hidden[i : i + 1].contiguous(), pooled[i : i + 1].contiguous()) for i in range(len(calls))]


def t5(encoder: TextEncoder, calls: list[Call]) -> list[Outputs]:
    """text -> hidden [1, max_length, width]; float32."""
    hidden = encoder.model(encoder.token_ids(calls))[0]
    return [(hidden[i : i + 1].contiguous(),) for i in range(len(calls))]


OPS: dict[str, Op] = {"text.clip": clip, "text.t5": t5}
