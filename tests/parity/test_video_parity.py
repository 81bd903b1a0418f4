"""Goal: clips are bit-equal to the stock Wan and LTX pipelines', whatever executor ran which part, and after a kill.

Method: tiny random directories of real classes (autoencoder in time, UMT5, CLIP vision), through executor processes;
seeds, frames and steps differ. One request is disturbed by SIGKILLs of executors in the middle of its loop; one set is
batched, and compared within the tolerance of batching.
"""

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import LTXImageToVideoPipeline, LTXPipeline, WanImageToVideoPipeline, WanPipeline
from PIL import Image

import brickwork as bw
from brickwork.starter.workflows import image_to_video, text_to_video
from support.processes import kill_one
from support.tiny import ltx, wan

WORKFLOWS = (text_to_video, image_to_video)
STOCK = {"wan": (WanPipeline, WanImageToVideoPipeline), "ltx": (LTXPipeline, LTXImageToVideoPipeline)}
VARIANTS = [("wan", wan.build, variant) for variant in wan.VARIANTS] + [("ltx", ltx.build, v) for v in ("", "timestep")]
KINDS = {
    f"{name} {variant} {'i2v' if with_image else 't2v'}": (name, build, variant, with_image)
    for name, build, variant in VARIANTS
    for with_image in (False, True)
}
LONGEST = {"wan": 11, "ltx": 128}
"""Tokens of a text: Wan's tokenizer declares fewer than the pipeline would take."""

FIRST = [kind for kind in KINDS if KINDS[kind][2] in ("2.1", "")]
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 64, 3), dtype=np.uint8))
REQUESTS: tuple[dict[str, Any], ...] = (
    {"prompt": "a red circle", "frames": 9, "steps": 4, "guidance": 3.0, "seed": 3},
    {"prompt": "a blue square above a circle", "frames": 5, "steps": 3, "guidance": 1.0, "seed": 4},
    {
        "prompt": "a green circle",
        "negative_prompt": "a red square",
        "frames": 1,
        "steps": 2,
        "guidance": 5.0,
        "seed": 5,
    },
)


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("wan")
    kinds = KINDS.items()
    return {kind: build(root / kind, with_image, variant) for kind, (_, build, variant, with_image) in kinds}


@pytest.fixture(scope="module")
def cluster() -> Iterator[bw.Cluster]:
    with bw.Cluster(executors=2) as cluster:
        yield cluster


def stock(kind: str, directory: Path, prompt: str, negative_prompt: str = "", **options: Any) -> np.ndarray:
    """The stock pipeline's frames, uint8 [frames, 32, 64, 3]."""
    torch.set_num_threads(1)  # as the executors: more threads add up in another order
    cls = STOCK[KINDS[kind][0]][KINDS[kind][3]]
    pipeline = cls.from_pretrained(directory, dtype=torch.float32, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    answer = pipeline(
        prompt=prompt,
        negative_prompt=negative_prompt,
        height=32,
        width=64,
        num_frames=options["frames"],
        num_inference_steps=options["steps"],
        guidance_scale=options["guidance"],
        max_sequence_length=LONGEST[KINDS[kind][0]],
        generator=torch.Generator().manual_seed(options["seed"]),
        output_type="np",
        **picture(kind),
    )
    return np.round(answer.frames[0] * 255).astype(np.uint8)


def picture(kind: str) -> dict[str, Image.Image]:
    return {"image": PICTURE} if KINDS[kind][3] else {}


@pytest.mark.parametrize("kind", KINDS)
def test_clips_are_bit_equal(kind: str, directories: dict[str, Path], cluster: bw.Cluster) -> None:
    workflow = WORKFLOWS[KINDS[kind][3]](directories[kind])
    for request in REQUESTS:
        result = cluster.run(workflow, deterministic=True, size=(32, 64), **picture(kind), **request)
        assert result.video.frames_per_second == {"wan": 16, "ltx": 25}[KINDS[kind][0]]
        assert np.array_equal(result.video.frames, stock(kind, directories[kind], **request))


@pytest.mark.parametrize("kind", FIRST)
def test_batched_clips_are_within_the_tolerance(kind: str, directories: dict[str, Path], cluster: bw.Cluster) -> None:
    workflow = WORKFLOWS[KINDS[kind][3]](directories[kind])
    requests = [REQUESTS[0] | {"seed": seed, "steps": steps} for seed, steps in ((1, 4), (2, 6), (3, 4))]
    handles = [cluster.submit(workflow, size=(32, 64), **picture(kind), **request) for request in requests]
    for handle, request in zip(handles, requests, strict=True):
        apart = handle.result(60).video.frames.astype(int) - stock(kind, directories[kind], **request)
        assert (np.abs(apart) <= 1).mean() >= 0.999


def test_a_clip_is_bit_equal_after_a_kill(directories: dict[str, Path]) -> None:
    workflow = image_to_video(directories["wan 2.1 i2v"])
    request = REQUESTS[0] | {"steps": 30}
    begun = threading.Event()
    with bw.Cluster(executors=2) as cluster:
        handle = cluster.submit(
            workflow, deterministic=True, size=(32, 64), on_progress=lambda p: p.step >= 3 and begun.set(),
            **picture("wan 2.1 i2v"), **request,
        )  # fmt: skip
        assert begun.wait(60)
        rng = random.Random(1)
        assert kill_one(cluster.pids().values(), rng) + kill_one(cluster.pids().values(), rng) >= 1
        frames = handle.result(120).video.frames
    assert np.array_equal(frames, stock("wan 2.1 i2v", directories["wan 2.1 i2v"], **request))
