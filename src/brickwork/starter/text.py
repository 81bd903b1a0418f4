"""Captions as the DiT reads them: the same arithmetic as the stock SD3 pipeline, in batches and with gradients."""

from __future__ import annotations

import torch
from diffusers import StableDiffusion3Pipeline
from torch import nn


def tokenise(pipeline: StableDiffusion3Pipeline, captions: list[str]) -> torch.Tensor:
    """Token numbers, int64 [captions, 2, 16]: CLIP's and T5's. Both CLIPs share one vocabulary."""
    rows = []
    for tokenizer in (pipeline.tokenizer, pipeline.tokenizer_3):
        found = tokenizer(captions, padding="max_length", max_length=tokenizer.model_max_length, truncation=True)
        rows.append(torch.tensor(found.input_ids))
    return torch.stack(rows, dim=1)


def trained_parts(pipeline: StableDiffusion3Pipeline) -> nn.ModuleDict:
    """The four models that are trained together on frozen latents."""
    names = ("transformer", "text_encoder", "text_encoder_2", "text_encoder_3")
    return nn.ModuleDict({name: getattr(pipeline, name) for name in names})


def encode(parts: nn.ModuleDict, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Text embeddings [batch, 32, 128] and pooled vectors [batch, 128], float32, of tokens [batch, 2, 16].

    CLIP gives its second-last layer and T5 gets no attention mask, as in the stock pipeline.
    """
    clips = [parts[name](tokens[:, 0], output_hidden_states=True) for name in ("text_encoder", "text_encoder_2")]
    wide = torch.cat([clip.hidden_states[-2] for clip in clips], dim=-1)
    t5 = parts["text_encoder_3"](tokens[:, 1])[0]
    wide = nn.functional.pad(wide, (0, t5.shape[-1] - wide.shape[-1]))
    return torch.cat([wide, t5], dim=1), torch.cat([clip.text_embeds for clip in clips], dim=-1)


def velocity(parts: nn.ModuleDict, latents: torch.Tensor, sigma: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """The DiT's guess of noise - picture for noisy latents [batch, 16, 8, 8] at sigma [batch]."""
    embeds, pooled = encode(parts, tokens)
    answer: torch.Tensor = parts["transformer"](
        hidden_states=latents,
        timestep=sigma * 1000,
        encoder_hidden_states=embeds,
        pooled_projections=pooled,
        return_dict=False,
    )[0]
    return answer
