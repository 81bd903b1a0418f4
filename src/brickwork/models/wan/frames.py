"""A picture autoencoder as a video autoencoder: every frame by itself, without compression in time.

A model may name a picture autoencoder in its directory; then a cluster that serves it and a picture model with the
same files holds one replica for both. The moments' shift and scale play the part of Wan's mean and deviation.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from diffusers import AutoencoderKL
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.modeling_utils import ModelMixin

from brickwork.models.vae import decoded, encoded


def encode(vae: AutoencoderKL, video: torch.Tensor) -> torch.Tensor:
    """Moments' mode of [batch, 3, frames, height, width] in -1..1: [batch, z, frames, height / 8, width / 8]."""
    return torch.stack([encoded(vae, frame).mode() for frame in video.unbind(2)], dim=2)


def decode(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """The other way round."""
    return torch.stack([decoded(vae, frame) for frame in latents.unbind(2)], dim=2)


def statistics(vae: Any) -> tuple[list[float], list[float]]:
    """(mean, deviation) of the latents, a number a channel, of either kind of autoencoder."""
    if isinstance(vae, AutoencoderKL):
        channels = vae.config.latent_channels
        return [vae.config.shift_factor] * channels, [1.0 / vae.config.scaling_factor] * channels
    return list(vae.config.latents_mean), list(vae.config.latents_std)


class FrameVAE(ModelMixin, ConfigMixin):
    """The interface of AutoencoderKLWan around a picture autoencoder, for the stock pipelines (our reference)."""

    @register_to_config
    def __init__(self, z_dim: int, latents_mean: list[float], latents_std: list[float]) -> None:
        super().__init__()
        self.register_to_config(scale_factor_temporal=1, scale_factor_spatial=8)
        self.inner: AutoencoderKL

    @classmethod
    def around(cls, inner: AutoencoderKL) -> FrameVAE:
        made = cls(inner.config.latent_channels, *statistics(inner))
        made.inner = inner
        return made

    @property
    def dtype(self) -> torch.dtype:
        return self.inner.dtype

    def encode(self, video: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(latents=encode(self.inner, video))

    def decode(self, latents: torch.Tensor, return_dict: bool = True) -> DecoderOutput | tuple[torch.Tensor]:
        video = decode(self.inner, latents)
        return DecoderOutput(video) if return_dict else (video,)
