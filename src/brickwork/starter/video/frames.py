"""The text-to-image autoencoder under the Wan autoencoder's interface, so that the stock Wan pipeline runs with it.

Frames are encoded and decoded one by one: no compression in time. The served workflow does not use this file; its
reference does.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from diffusers import AutoencoderKL
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.modeling_utils import ModelMixin


class FrameVAE(ModelMixin, ConfigMixin):
    """Encode and decode videos [batch, 3, frames, height, width] in -1..1, frame by frame."""

    @register_to_config
    def __init__(self, z_dim: int, latents_mean: list[float], latents_std: list[float]) -> None:
        super().__init__()
        self.register_to_config(scale_factor_temporal=1, scale_factor_spatial=8)
        self.inner: AutoencoderKL

    @classmethod
    def around(cls, inner: AutoencoderKL) -> FrameVAE:
        """Its mean and deviation are the shift and scale that the picture model's transformer was trained with."""
        channels = inner.config.latent_channels
        mean, deviation = inner.config.shift_factor, 1.0 / inner.config.scaling_factor
        made = cls(channels, [mean] * channels, [deviation] * channels)
        made.inner = inner
        return made

    @property
    def dtype(self) -> torch.dtype:
        return self.inner.dtype

    def encode(self, video: torch.Tensor) -> SimpleNamespace:
        """Moments' mode as `latents` [batch, z, frames, height / 8, width / 8]."""
        means = [self.inner.encode(frame).latent_dist.mode() for frame in video.unbind(2)]
        return SimpleNamespace(latents=torch.stack(means, dim=2))

    def decode(self, latents: torch.Tensor, return_dict: bool = True) -> DecoderOutput | tuple[torch.Tensor]:
        video = torch.stack([self.inner.decode(frame).sample for frame in latents.unbind(2)], dim=2)
        return DecoderOutput(video) if return_dict else (video,)
