"""Train the starter model from nothing: autoencoder, cached latents, then DiT and text encoders.

OUT/checkpoints/{vae,latents,dit}.safetensors   training state, each replaced atomically
OUT/text-to-image/                              the model as of the last save, an ordinary Diffusers directory
OUT/report.json                                 seed, seconds, steps, losses, PSNR a picture kind, versions
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VAE_SHARE, LATENTS_SHARE, DIT_SHARE = 0.38, 0.05, 0.57
EXAMPLES = """examples:
  python -m brickwork.starter.train --seconds 6000 --out out/starter     the whole training, about 100 minutes
  python -m brickwork.starter.train --seconds 60 --out out/smoke         a smoke run: every stage, poor pictures
  python -m brickwork.starter.train --seconds 6000 --out out/starter --resume   go on after Ctrl-C or a kill
  python -m brickwork.starter.evaluate --model out/starter/text-to-image --grid out/grid.png
"""


@dataclass(frozen=True)
class Budget:
    """Seconds of work for each stage, over all resumes."""

    vae_s: float
    latents_s: float
    dit_s: float


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m brickwork.starter.train",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=_positive, default=6000.0, help="budget of all stages (default 6000)")
    parser.add_argument("--vae-seconds", type=_positive, help="instead of its 38 %% share")
    parser.add_argument("--dit-seconds", type=_positive, help="instead of its 57 %% share")
    parser.add_argument("--seed", type=int, default=7, help="of weights, scenes and noise (default 7)")
    parser.add_argument("--out", type=Path, default=Path("out/starter"), help="folder to write (default out/starter)")
    parser.add_argument("--resume", action="store_true", help="continue from OUT/checkpoints where there are any")
    parser.add_argument("--threads", type=int, default=0, help="torch threads (default: torch's choice)")
    parser.add_argument(
        "--compile",
        action="store_true",
        help="torch.compile the DiT: a minute first, then faster; needs a C++ compiler",
    )
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e7:
        raise argparse.ArgumentTypeError(f"expected seconds between 0 and 10000000, found {text}")
    return value


def budget(args: argparse.Namespace) -> Budget:
    """Split --seconds over the stages; an explicit number replaces a share."""
    return Budget(
        args.vae_seconds or VAE_SHARE * args.seconds,
        LATENTS_SHARE * args.seconds,
        args.dit_seconds or DIT_SHARE * args.seconds,
    )


def train(out: Path, seconds: Budget, seed: int, resume: bool, fuse: bool = False) -> dict[str, Any]:
    """Run the three stages; returns the report. Raises `stage.Stopped` after a saved Ctrl-C."""
    import torch

    from brickwork.starter import build, export, latents, stage, train_dit, train_vae

    stop = stage.StopFlag().install()
    kept = out / "checkpoints"
    torch.manual_seed(seed)
    vae = build.build_vae()
    report = {
        "seed": seed,
        "torch": torch.__version__,
        "device": f"cpu, {torch.get_num_threads()} threads",
        "machine": platform.machine(),
    }
    report["vae"] = stage.run(train_vae.vae_stage(vae, seed), seconds.vae_s, kept, stop, resume)
    pipeline = build.build_pipeline(seed, vae.requires_grad_(False).eval())
    scenes = latents.training_latents(pipeline, seed, seconds.latents_s, kept / "latents.safetensors", stop)
    report["scenes"] = len(scenes.latents)
    unseen = latents.held_out_latents(pipeline, 128)
    dit = train_dit.dit_stage(pipeline, scenes, unseen, seed, fuse)
    dit.saved = lambda: export.export(pipeline, dit.average, out / "text-to-image", report)
    report["dit"] = stage.run(dit, seconds.dit_s, kept, stop, resume)
    export.declare(out / "text-to-image", report)
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def main() -> int:
    args = arguments().parse_args()
    if not args.resume and (args.out / "checkpoints").exists():
        print(
            f"{args.out} holds a training already; add --resume to continue it, or choose another --out",
            file=sys.stderr,
        )
        return 2
    import torch

    from brickwork.starter.quiet import quiet
    from brickwork.starter.stage import Stopped

    quiet()
    if args.threads > 0:
        torch.set_num_threads(args.threads)
    try:
        train(args.out, budget(args), args.seed, args.resume, args.compile)
    except Stopped as stopped:
        print(f"{stopped}; add --resume to go on", flush=True)
        return 130
    print(f"wrote {args.out / 'text-to-image'} and {args.out / 'report.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
