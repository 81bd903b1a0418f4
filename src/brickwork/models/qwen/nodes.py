"""Qwen-Image: texts through a language model, one or two transformer calls, guidance that keeps lengths, decoding.

source    diffusers QwenImagePipeline and its Img2Img, Inpaint and ControlNet variants
"""

from typing import Any

import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch.nn.functional import pad

from brickwork.models import lora
from brickwork.models.ops import Call, Op, Outputs
from brickwork.models.packing import pack, unpack
from brickwork.models.rows import control_scale, summed_controls
from brickwork.models.sampler import timestep
from brickwork.models.start import scaled
from brickwork.models.text import TextEncoder
from brickwork.models.vae import decoded, encoded, pixels_of

TEMPLATE = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial "
    "relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
TEMPLATE_TOKENS = 34
"""Tokens of the template before the text: their embeddings are dropped. The model was trained with exactly these."""

MAX_TOKENS = 1024


def encode(encoder: TextEncoder, calls: list[Call]) -> list[Outputs]:
    """text -> embeds [1, max_length, width] in the model's dtype, mask [1, max_length] int64, 1 where there is text."""
    texts = [TEMPLATE.format(call.args["text"]) for call in calls]
    length = MAX_TOKENS + TEMPLATE_TOKENS
    tokens = encoder.tokenizer(texts, max_length=length, padding=True, truncation=True, return_tensors="pt")
    hidden = encoder.model(
        input_ids=tokens.input_ids, attention_mask=tokens.attention_mask, output_hidden_states=True
    ).hidden_states[-1]
    limit = calls[0].attrs["max_length"]
    kept = [row[mask.bool()][TEMPLATE_TOKENS:][:limit] for row, mask in zip(hidden, tokens.attention_mask, strict=True)]
    return [_padded(row, limit) for row in kept]


def _padded(row: torch.Tensor, limit: int) -> Outputs:
    mask = pad(torch.ones(1, len(row), dtype=torch.int64), (0, limit - len(row)))
    return pad(row, (0, 0, 0, limit - len(row)))[None].contiguous(), mask


def predict(transformer: Any, calls: list[Call]) -> list[Outputs]:
    """-> velocity [rows, c, h, w] each, unconditional row first; each row of a request is a call of its own."""
    rows = calls[0].args["rows"]
    residuals = [summed_controls(call.args) for call in calls]
    blocks = [torch.cat([found[port].flatten(1, 2) for found in residuals]) for port in residuals[0]]
    with lora.applied(transformer, calls[0].attrs["lora"], [(call.args["adapters"], 1) for call in calls]):
        asked = [_ask(transformer, calls, prefix, blocks) for prefix in ("negative_", "")[2 - rows :]]
    return [(torch.cat(parts),) for parts in zip(*asked, strict=True)]


def _ask(transformer: Any, calls: list[Call], prefix: str, residuals: list[torch.Tensor]) -> list[torch.Tensor]:
    """The prediction for one text of every request; a ControlNet's residuals serve both."""
    blocks = {"controlnet_block_samples": residuals} if residuals else {}
    tokens = transformer(**_inputs(calls, prefix), **blocks, return_dict=False)[0]
    height, width = calls[0].args["latents"].shape[-2:]
    return [unpack(part, height, width) for part in tokens.to(torch.float32).split(1)]


def control(controlnet: Any, calls: list[Call]) -> list[Outputs]:
    """-> residuals [1, h, w, width] for the transformer's blocks, scaled."""
    pictures = torch.cat([pack(call.args["image"]) for call in calls])
    blocks = controlnet(**_inputs(calls, ""), controlnet_cond=pictures, conditioning_scale=1.0, return_dict=False)
    return [_scaled(call, [block[k : k + 1] for block in blocks]) for k, call in enumerate(calls)]


def _scaled(call: Call, blocks: list[torch.Tensor]) -> Outputs:
    height, width = (side // 2 for side in call.args["latents"].shape[-2:])
    scale = control_scale(call)
    return tuple((block * scale).reshape(1, height, width, -1).contiguous() for block in blocks)


def _inputs(calls: list[Call], prefix: str) -> dict[str, Any]:
    """What transformer and ControlNet are asked of one text of every request."""
    height, width = calls[0].args["latents"].shape[-2:]
    times = [timestep(c.attrs["sampler"], c.args["steps"], c.args["latents"], c.args["i"]).expand(1) for c in calls]
    masks = torch.cat([call.args[f"{prefix}mask"] for call in calls])
    longest = int(masks.sum(dim=1).max())
    masks = masks[:, :longest]
    return {
        "hidden_states": torch.cat([pack(call.args["latents"]) for call in calls]),
        "timestep": torch.cat(times) / 1000,
        "encoder_hidden_states": torch.cat([call.args[f"{prefix}embeds"][:, :longest] for call in calls]),
        "encoder_hidden_states_mask": None if masks.all() else masks,
        "img_shapes": [[(1, height // 2, width // 2)]] * len(calls),
    }


def guide(_model: None, calls: list[Call]) -> list[Outputs]:
    """velocity [rows, c, h, w], guidance -> [1, c, h, w]: guided, each token as long as the text's own prediction."""
    return [(_guide(**call.args),) for call in calls]


def _guide(velocity: torch.Tensor, guidance: float, rows: int) -> torch.Tensor:
    if rows == 1:
        return velocity
    without, with_text = (pack(row) for row in velocity.chunk(2))
    combined = without + guidance * (with_text - without)
    lengths = torch.norm(with_text, dim=-1, keepdim=True) / torch.norm(combined, dim=-1, keepdim=True)
    return unpack(combined * lengths, *velocity.shape[-2:])


def decode(vae: Any, calls: list[Call]) -> list[Outputs]:
    """latents [1, c, h, w] float32 -> pixels [1, 3, 8h, 8w] float32, about -1..1."""
    return [(_decode(vae, call.args["latents"]),) for call in calls]


def _decode(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    shape = (1, vae.config.z_dim, 1, 1, 1)
    mean = torch.tensor(vae.config.latents_mean).view(shape)
    deviation = 1.0 / torch.tensor(vae.config.latents_std).view(shape)
    return decoded(vae, latents[:, :, None] / deviation + mean)[:, :, 0].contiguous()


def encode_image(vae: Any, calls: list[Call]) -> list[Outputs]:
    """image [1, H, W, 3] uint8 -> moments [1, 2c, h, w] float32 (mean, then log variance)."""
    return [(_moments(vae, pixels_of(call.args["image"])),) for call in calls]


def _moments(vae: Any, pixels: torch.Tensor) -> torch.Tensor:
    """The autoencoder is one of videos: a picture is a clip of one frame."""
    return encoded(vae, pixels.unsqueeze(2)).parameters[:, :, 0].contiguous()


def control_image(vae: Any, calls: list[Call]) -> list[Outputs]:
    """image [1, H, W, 3] uint8 -> latents [1, c, h, w], drawn, as a ControlNet takes them."""
    return [(_control_image(vae, **call.args, **call.attrs),) for call in calls]


def _control_image(vae: Any, image: torch.Tensor, seed: int, before: int, **space: Any) -> torch.Tensor:
    posterior = DiagonalGaussianDistribution(_moments(vae, pixels_of(image).contiguous()))
    generator = torch.Generator("cpu").manual_seed(seed)
    for _ in range(before):
        posterior.sample(generator)
    return scaled(posterior.sample(generator), **space).contiguous()


OPS: dict[str, Op] = {
    "text.qwen": encode, "qwen.predict": predict, "qwen.control": control, "qwen.guide": guide,
    "qwen.encode": encode_image, "qwen.control_image": control_image, "qwen.decode": decode,
}  # fmt: skip
