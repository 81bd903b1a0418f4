"""What control and executors know of a model: identity, size, and how to find the weights."""

from dataclasses import dataclass

from brickwork.core.ids import ModelId


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One loadable set of weights. Equal `id` means equal weights, config and dtype (design 5)."""

    id: ModelId  # f"{role}-{digest of config, weights, tokenizer and dtype}"
    kind: str  # loader key in `brickwork.models`: "sd3.clip", "sd3.transformer", ...
    path: str  # directory of the component, e.g. ".../text_encoder"
    dtype: str  # dtype the weights are used in
    weight_bytes: int  # resident size once loaded in `dtype`
    profile: str  # name under which `brickwork.profile` knows its speed (same config, any weights)
    extras: tuple[tuple[str, str], ...] = ()  # further directories: (("tokenizer", ".../tokenizer"),)
