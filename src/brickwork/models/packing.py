"""Latents as tokens: 2 x 2 of them side by side are one token, row by row."""

import torch


def pack(latents: torch.Tensor) -> torch.Tensor:
    """[b, c, h, w] -> [b, h / 2 * w / 2, 4 c]."""
    batch, channels, height, width = latents.shape
    cells = latents.reshape(batch, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return cells.reshape(batch, (height // 2) * (width // 2), 4 * channels)


def unpack(tokens: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """[b, h / 2 * w / 2, 4 c] -> [b, c, h, w]."""
    batch, _, features = tokens.shape
    cells = tokens.reshape(batch, height // 2, width // 2, features // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return cells.reshape(batch, features // 4, height, width).contiguous()
