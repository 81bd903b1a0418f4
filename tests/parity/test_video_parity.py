"""Goal: clips are bit-equal to the stock Wan pipelines', whatever executor ran which part, and after a kill.

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
from diffusers import WanImageToVideoPipeline, WanPipeline
from PIL import Image

import brickwork as bw
from brickwork.starter.workflows import image_to_video, text_to_video
from support.processes import kill_one
from support.tiny import wan

TEXT, PHOTO = (text_to_video, WanPipeline), (image_to_video, WanImageToVideoPipeline)
KINDS = {
    f"wan {variant} {name}": (variant, *kind)
    for variant in wan.VARIANTS
    for name, kind in (("t2v", TEXT), ("i2v", PHOTO))
}
FIRST = ("wan 2.1 t2v", "wan 2.1 i2v")
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8))
REQUESTS: tuple[dict[str, Any], ...] = (
    {"prompt": "a red circle", "frames": 9, "steps": 4, "guidance": 3.0, "seed": 3},
    {"prompt": "a blue square above a circle", "frames": 5, "steps": 3, "guidance": 1.0, "seed": 4},
    {
        "prompt": "a green circle",
        "negative_prompt": "a red square",
        "frames": 1,
        "steps": 1,
        "guidance": 5.0,
        "seed": 5,
    },
)


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("wan")
    return {kind: wan.build(root / kind, KINDS[kind][1:] == PHOTO, KINDS[kind][0]) for kind in KINDS}


@pytest.fixture(scope="module")
def cluster() -> Iterator[bw.Cluster]:
    with bw.Cluster(executors=2) as cluster:
        yield cluster


def stock(kind: str, directory: Path, prompt: str, negative_prompt: str = "", **options: Any) -> np.ndarray:
    """The stock pipeline's frames, uint8 [frames, 32, 48, 3]."""
    torch.set_num_threads(1)  # as the executors: more threads add up in another order
    pipeline = KINDS[kind][2].from_pretrained(directory, dtype=torch.float32, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    answer = pipeline(
        prompt=prompt,
        negative_prompt=negative_prompt,
        height=32,
        width=48,
        num_frames=options["frames"],
        num_inference_steps=options["steps"],
        guidance_scale=options["guidance"],
        max_sequence_length=pipeline.tokenizer.model_max_length,
        generator=torch.Generator().manual_seed(options["seed"]),
        output_type="np",
        **picture(kind),
    )
    return np.round(answer.frames[0] * 255).astype(np.uint8)


def picture(kind: str) -> dict[str, Image.Image]:
    return {"image": PICTURE} if KINDS[kind][1:] == PHOTO else {}


@pytest.mark.parametrize("kind", KINDS)
def test_clips_are_bit_equal(kind: str, directories: dict[str, Path], cluster: bw.Cluster) -> None:
    workflow = KINDS[kind][1](directories[kind])
    for request in REQUESTS:
        result = cluster.run(workflow, deterministic=True, size=(32, 48), **picture(kind), **request)
        assert result.video.frames_per_second == 16
        assert np.array_equal(result.video.frames, stock(kind, directories[kind], **request))


@pytest.mark.parametrize("kind", FIRST)
def test_batched_clips_are_within_the_tolerance(kind: str, directories: dict[str, Path], cluster: bw.Cluster) -> None:
    workflow = KINDS[kind][1](directories[kind])
    requests = [REQUESTS[0] | {"seed": seed, "steps": steps} for seed, steps in ((1, 4), (2, 6), (3, 4))]
    handles = [cluster.submit(workflow, size=(32, 48), **picture(kind), **request) for request in requests]
    for handle, request in zip(handles, requests, strict=True):
        apart = handle.result(60).video.frames.astype(int) - stock(kind, directories[kind], **request)
        assert (np.abs(apart) <= 1).mean() >= 0.999


def test_a_clip_is_bit_equal_after_a_kill(directories: dict[str, Path]) -> None:
    workflow = image_to_video(directories["wan 2.1 i2v"])
    request = REQUESTS[0] | {"steps": 30}
    begun = threading.Event()
    with bw.Cluster(executors=2) as cluster:
        handle = cluster.submit(
            workflow, deterministic=True, size=(32, 48), on_progress=lambda p: p.step >= 3 and begun.set(),
            **picture("wan 2.1 i2v"), **request,
        )  # fmt: skip
        assert begun.wait(60)
        rng = random.Random(1)
        assert kill_one(cluster.pids().values(), rng) + kill_one(cluster.pids().values(), rng) >= 1
        frames = handle.result(120).video.frames
    assert np.array_equal(frames, stock("wan 2.1 i2v", directories["wan 2.1 i2v"], **request))
