"""Goal: clips are bit-equal to the stock Wan and LTX pipelines', whatever executor ran which part, and after a kill.

Method: the cells of `video_table.py`, through executor processes; seeds, frames and steps differ. One request is
disturbed by SIGKILLs of executors in the middle of its loop; one set is batched, and compared within the tolerance of
batching.
"""

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import brickwork as bw
from parity.video_table import CELLS, MODELS, directory_of, pipeline_of, workflow_of
from support.processes import kill_one

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 64, 3), dtype=np.uint8))
REQUESTS: tuple[dict[str, Any], ...] = (
    dict(prompt="a red circle", frames=9, steps=4, guidance=3.0, seed=3),
    dict(prompt="a blue square above a circle", frames=5, steps=3, guidance=1.0, seed=4),
    dict(prompt="a green circle", negative_prompt="a red square", frames=1, steps=2, guidance=5.0, seed=5),
)
BATCHED = [(name, feature) for name, feature in CELLS if name in ("Wan 2.1", "LTX-Video")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("video")


@pytest.fixture(scope="module")
def cluster() -> Iterator[bw.Cluster]:
    with bw.Cluster(executors=2) as cluster:
        yield cluster


def stock(name: str, feature: str, root: Path, negative_prompt: str = "", **options: Any) -> np.ndarray:
    """The stock pipeline's frames, uint8 [frames, 32, 64, 3]."""
    torch.set_num_threads(1)  # as the executors: more threads add up in another order
    directory = directory_of(name, feature, root)
    pipeline = pipeline_of(name, feature).from_pretrained(directory, dtype=torch.float32, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    answer = pipeline(
        prompt=options["prompt"],
        negative_prompt=negative_prompt,
        height=32,
        width=64,
        num_frames=options["frames"],
        num_inference_steps=options["steps"],
        guidance_scale=options["guidance"],
        max_sequence_length=MODELS[name].longest,
        generator=torch.Generator().manual_seed(options["seed"]),
        output_type="np",
        **picture(feature),
    )
    return np.round(answer.frames[0] * 255).astype(np.uint8)


def picture(feature: str) -> dict[str, Image.Image]:
    return {"image": PICTURE} if feature == "image to video" else {}


@pytest.mark.parametrize("name, feature", CELLS)
def test_clips_are_bit_equal(name: str, feature: str, root: Path, cluster: bw.Cluster) -> None:
    workflow = workflow_of(name, feature, root)
    for request in REQUESTS:
        result = cluster.run(workflow, deterministic=True, size=(32, 64), **picture(feature), **request)
        assert result.video.frames_per_second == MODELS[name].rate
        assert np.array_equal(result.video.frames, stock(name, feature, root, **request))


@pytest.mark.parametrize("name, feature", BATCHED)
def test_batched_clips_are_within_the_tolerance(name: str, feature: str, root: Path, cluster: bw.Cluster) -> None:
    workflow = workflow_of(name, feature, root)
    requests = [REQUESTS[0] | {"seed": seed, "steps": steps} for seed, steps in ((1, 4), (2, 6), (3, 4))]
    handles = [cluster.submit(workflow, size=(32, 64), **picture(feature), **request) for request in requests]
    for handle, request in zip(handles, requests, strict=True):
        apart = handle.result(60).video.frames.astype(int) - stock(name, feature, root, **request)
        assert (np.abs(apart) <= 1).mean() >= 0.999


def test_a_clip_is_bit_equal_after_a_kill(root: Path) -> None:
    cell = ("Wan 2.1", "image to video")
    request = REQUESTS[0] | {"steps": 30}
    begun = threading.Event()
    with bw.Cluster(executors=2) as cluster:
        handle = cluster.submit(
            workflow_of(*cell, root),
            deterministic=True,
            size=(32, 64),
            on_progress=lambda progress: progress.step >= 3 and begun.set(),
            image=PICTURE,
            **request,
        )
        assert begun.wait(60)
        rng = random.Random(1)
        assert kill_one(cluster.pids().values(), rng) + kill_one(cluster.pids().values(), rng) >= 1
        frames = handle.result(120).video.frames
    assert np.array_equal(frames, stock(*cell, root, **request))
