"""Goal: clips are bit-equal to the stock Wan and LTX pipelines', whatever executor ran which part, and after a kill.

Method: the cells of `video_table.py`, through executor processes; seeds, frames and steps differ. Of every kind of
directory one request is disturbed by SIGKILLs of all executors in the middle of its loop, and requests with other seeds
and numbers of steps that share every call are compared with each alone, within the tolerance of batching.
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
from support import inprocess
from support.processes import kill_one

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 64, 3), dtype=np.uint8))
REQUESTS: tuple[dict[str, Any], ...] = (
    dict(prompt="a red circle", frames=9, steps=4, guidance=3.0, seed=3),
    dict(prompt="a blue square above a circle", frames=5, steps=3, guidance=1.0, seed=4),
    dict(prompt="a green circle", negative_prompt="a red square", frames=1, steps=2, guidance=5.0, seed=5),
)
KILLED = {name: "image to video" if name == "Wan 2.1" else "text to video" for name in MODELS}


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


@pytest.mark.parametrize("name, feature", CELLS)
def test_batched_clips_are_within_the_tolerance(name: str, feature: str, root: Path) -> None:
    """In this process, where it is certain that they are batched."""
    workflow = workflow_of(name, feature, root)
    picture = {"image": torch.from_numpy(np.array(PICTURE)[None])} if feature == "image to video" else {}
    same = {"frames": 5, "guidance": 3.0, "size": (32, 64), **picture}
    prompts = ("a red circle", "a blue square above a circle", "a green circle")
    requests = [
        same | {"prompt": prompt, "seed": k, "steps": steps}
        for k, (prompt, steps) in enumerate(zip(prompts, (4, 6, 4), strict=True))
    ]
    together = inprocess.run_together(workflow, requests)
    for request, batched in zip(requests, together, strict=True):
        (clip,), (alone,) = batched.values(), inprocess.run(workflow, **request).values()
        assert ((clip.int() - alone.int()).abs() <= 1).float().mean() >= 0.999


@pytest.mark.parametrize(
    "field, value",
    [("frames", 0), ("frames", 10**9), ("steps", 10**9), ("size", "100000x100000"), ("size", "33x64"), ("seed", -1)],
)
@pytest.mark.parametrize("name", ["Wan 2.1", "LTX-Video"])
def test_absurd_clips_are_refused_by_name(name: str, field: str, value: Any, root: Path, cluster: bw.Cluster) -> None:
    ask = {**REQUESTS[0], "size": (32, 64), **picture("image to video"), field: value}
    with pytest.raises(bw.InputError) as caught:
        cluster.submit(workflow_of(name, "image to video", root), **ask)
    assert caught.value.field == field


@pytest.mark.parametrize("name, feature", KILLED.items())
def test_a_clip_is_bit_equal_after_a_kill(name: str, feature: str, root: Path, cluster: bw.Cluster) -> None:
    """1. The request denoises. 2. Both executors are killed. 3. New ones run what was lost."""
    request = REQUESTS[0] | {"steps": 30}
    begun = threading.Event()
    handle = cluster.submit(
        workflow_of(name, feature, root),
        deterministic=True,
        size=(32, 64),
        on_progress=lambda progress: progress.step >= 3 and begun.set(),
        **picture(feature),
        **request,
    )
    assert begun.wait(60)
    assert sum(kill_one([pid], random.Random(1)) for pid in cluster.pids().values()) >= 1
    frames = handle.result(120).video.frames
    assert np.array_equal(frames, stock(name, feature, root, **request))
