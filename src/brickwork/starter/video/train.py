"""Train the image-to-video model on the frozen autoencoder of the text-to-image model.

Rectified flow as in `starter.train_dit`: x_t = (1 - sigma) x + sigma noise, the target is noise - x; the first frame
is given as latents behind a mask and as embeddings of the image encoder. One caption in ten is dropped, for guidance.

OUT/checkpoints/{clips,video}.safetensors   training state, each replaced atomically
OUT/image-to-video/                         the model as of the last save, an ordinary Diffusers directory
OUT/report.json                             seed, seconds, steps, losses, versions
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from diffusers import WanImageToVideoPipeline
from torch import nn

from brickwork.starter import export as picture_export
from brickwork.starter import stage
from brickwork.starter.video import build, export
from brickwork.starter.video.latents import Clips, tokenise, training_clips, unseen_clips

BATCH = 24
PEAK_RATE = 2e-3
WARM_UP_STEPS = 100
DECAY_FROM = 0.5  # share of the budget after which the rate falls in a line to zero
DROP_CAPTION = 0.1
AVERAGE_KEEP = 0.998
LATENTS_SHARE = 0.1
EXAMPLES = """examples:
  python -m brickwork.starter.video.train --seconds 3600 --out out/video    the whole training
  python -m brickwork.starter.video.train --seconds 60 --out out/smoke      a smoke run: poor clips
  python -m brickwork.starter.video.train --seconds 3600 --out out/video --resume   go on after Ctrl-C or a kill
  python -m brickwork.starter.video.evaluate --model out/video/image-to-video
"""


def trained_parts(pipeline: WanImageToVideoPipeline) -> nn.ModuleDict:
    return nn.ModuleDict({name: getattr(pipeline, name) for name in export.MODELS})


def velocity(
    parts: nn.ModuleDict, noisy: torch.Tensor, condition: torch.Tensor, sigma: torch.Tensor, clips: Clips
) -> torch.Tensor:
    """The DiT's guess of noise - clip, for noisy latents [batch, 16, 8, 8, 8] at sigma [batch].

    condition   [batch, 17, 8, 8, 8]: the mask, then the first frame's latents
    clips       the batch's tokens and pixels
    """
    mask = clips.tokens.gt(0)
    text = parts["text_encoder"](clips.tokens, mask.long()).last_hidden_state * mask[..., None]
    image = parts["image_encoder"](clips.pixels.float(), output_hidden_states=True).hidden_states[-2]
    answer: torch.Tensor = parts["transformer"](
        hidden_states=torch.cat([noisy, condition], dim=1),
        timestep=sigma * 1000,
        encoder_hidden_states=text,
        encoder_hidden_states_image=image,
        return_dict=False,
    )[0]
    return answer


def loss_of(parts: nn.ModuleDict, clips: Clips, generator: torch.Generator) -> torch.Tensor:
    """Mean squared velocity error at random noise levels."""
    sigma = torch.sigmoid(torch.randn(len(clips.latents), generator=generator))
    sigma = build.FLOW_SHIFT * sigma / (1 + (build.FLOW_SHIFT - 1) * sigma)
    latents = clips.latents.float()
    noise = torch.randn(latents.shape, generator=generator)
    mixed = torch.lerp(latents, noise, sigma[:, None, None, None, None])
    guess = velocity(parts, mixed, condition_of(clips), sigma, clips)
    return (guess.float() - (noise - latents)).square().mean()


def condition_of(clips: Clips) -> torch.Tensor:
    """Mask and first-frame latents, [batch, 17, 8, 8, 8], as the stock pipeline lays them out."""
    later = clips.blank[None, :, None].expand(len(clips.first), -1, clips.latents.shape[2] - 1, -1, -1)
    frames = torch.cat([clips.first.float()[:, :, None], later], dim=2)
    mask = torch.zeros_like(frames[:, :1])
    mask[:, :, 0] = 1
    return torch.cat([mask, frames], dim=1)


def video_stage(pipeline: WanImageToVideoPipeline, clips: Clips, unseen: Clips, seed: int) -> stage.Stage:
    """The stage that trains the pipeline's three models in place; `stage.average` is what should be shipped."""
    parts = trained_parts(pipeline)
    shadow = deepcopy(parts).requires_grad_(False)
    optimizer = torch.optim.AdamW(parts.parameters(), lr=PEAK_RATE, weight_decay=0.01, betas=(0.9, 0.99))
    empty = tokenise(pipeline, [""])

    def step(index: int, share: float) -> dict[str, float]:
        generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
        for group in optimizer.param_groups:
            group["lr"] = _rate(index, share)
        picks = torch.randint(len(clips.latents), (BATCH,), generator=generator)
        dropped = torch.rand(BATCH, generator=generator) < DROP_CAPTION
        loss = loss_of(parts, _picked(clips, picks, dropped, empty), generator)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            keep = min(AVERAGE_KEEP, (1 + index) / (10 + index))
            torch._foreach_lerp_(list(shadow.parameters()), list(parts.parameters()), 1.0 - keep)
        return {"loss": loss.item()}

    @torch.no_grad()
    def probe() -> dict[str, float]:
        return {"unseen_loss": round(loss_of(shadow, unseen, torch.Generator().manual_seed(0)).item(), 5)}

    return stage.Stage("video", parts, optimizer, step, probe, average=shadow.state_dict(), probe_every_s=180.0)


def _picked(clips: Clips, picks: torch.Tensor, dropped: torch.Tensor, empty: torch.Tensor) -> Clips:
    tokens = torch.where(dropped[:, None], empty, clips.tokens[picks])
    return Clips(clips.latents[picks], clips.first[picks], clips.pixels[picks], tokens, clips.blank)


def _rate(index: int, share: float) -> float:
    warm = min(1.0, (index + 1) / WARM_UP_STEPS)
    return PEAK_RATE * warm * min(1.0, max(0.0, (1.0 - share) / (1.0 - DECAY_FROM)) + 0.001)


def train(out: Path, seconds: float, seed: int, resume: bool) -> dict[str, Any]:
    """Encode clips, train; returns the report. Raises `stage.Stopped` after a saved Ctrl-C."""
    stop = stage.StopFlag().install()
    kept = out / "checkpoints"
    pipeline = build.build_pipeline(seed)
    vae = picture_export.load().vae.requires_grad_(False).eval()
    clips = training_clips(pipeline, vae, seed, LATENTS_SHARE * seconds, kept / "clips.safetensors", stop)
    report: dict[str, Any] = {
        "seed": seed,
        "torch": torch.__version__,
        "device": f"cpu, {torch.get_num_threads()} threads",
        "machine": platform.machine(),
        "clips": len(clips.latents),
    }
    video = video_stage(pipeline, clips, unseen_clips(pipeline, vae, 64), seed)
    video.saved = lambda: export.export(pipeline, video.average, out / "image-to-video", report)
    report["video"] = stage.run(video, (1 - LATENTS_SHARE) * seconds, kept, stop, resume)
    export.declare(out / "image-to-video", report)
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m brickwork.starter.video.train",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=3600.0, help="budget of work (default 3600)")
    parser.add_argument("--seed", type=int, default=7, help="of weights, clips and noise (default 7)")
    parser.add_argument("--out", type=Path, default=Path("out/video"), help="folder to write (default out/video)")
    parser.add_argument("--resume", action="store_true", help="continue from OUT/checkpoints where there are any")
    parser.add_argument("--threads", type=int, default=0, help="torch threads (default: torch's choice)")
    return parser


def main() -> int:
    args = arguments().parse_args()
    if not args.resume and (args.out / "checkpoints").exists():
        print(f"{args.out} holds a training already; add --resume, or choose another --out", file=sys.stderr)
        return 2
    from brickwork.starter.quiet import quiet

    quiet()
    if args.threads > 0:
        torch.set_num_threads(args.threads)
    try:
        train(args.out, args.seconds, args.seed, args.resume)
    except stage.Stopped as stopped:
        print(f"{stopped}; add --resume to go on", flush=True)
        return 130
    print(f"wrote {args.out / 'image-to-video'} and {args.out / 'report.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
