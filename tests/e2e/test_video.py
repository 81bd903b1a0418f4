"""Goal: a picture and "moves left" become a clip that plays, by command line and over HTTP, with the shipped model.

Method: real processes; the files are decoded again by PyAV. The clips' quality is measured by
`python -m brickwork.starter.video.evaluate`; here is a glance at six of them.
"""

import io
import json
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import brickwork as bw
from brickwork.starter.video import evaluate, export
from brickwork.starter.video.clips import FRAMES, render, say
from brickwork.starter.video.judge import judge
from brickwork.starter.workflows import WORKFLOWS
from support.server import ServerProcess


def decoded(data: bytes) -> np.ndarray:
    """Frames of an mp4 file, uint8 [frames, height, width, 3]."""
    with av.open(io.BytesIO(data)) as container:
        assert container.streams.video[0].average_rate == 8
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(render(evaluate.cases()[0])[0]).save(path)
    return path


def test_things_move_the_way_they_are_told() -> None:
    """At most one of six does not. Text-to-image runs on the same cluster, and both use one autoencoder, read from the
    executors' residency."""
    workflow, todo = WORKFLOWS["image-to-video"](), evaluate.cases()[::8]
    picture_models = {model.id for model in WORKFLOWS["text-to-image"]().plan.models}
    shared = picture_models & {model.id for model in workflow.plan.models}
    assert [model.partition("-")[0] for model in shared] == ["vae"]
    with bw.Cluster(executors=2) as cluster:
        drawn = cluster.submit(WORKFLOWS["text-to-image"](), prompt="a red circle", steps=2)
        handles = [
            cluster.submit(workflow, image=Image.fromarray(render(clip)[0]), prompt=say(clip, name=True), seed=seed)
            for seed, clip in enumerate(todo)
        ]
        verdicts = [judge(clip, handle.result(120).video.frames) for clip, handle in zip(todo, handles, strict=True)]
        assert drawn.result().image.size == (64, 64)
        resident = {model for loaded in cluster.residency().values() for model in loaded}
        assert {model for model in resident if model.startswith("vae-")} == shared, "both decode with one replica"
        assert sum(not verdict.moved for verdict in verdicts) <= 1


def test_the_command_line_writes_a_clip_that_plays(photo: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "brickwork.cli", "run", "image-to-video", str(photo), "moves left", "--steps", "2"]
    for suffix in (".mp4", ".webp"):
        clip = tmp_path / f"clip{suffix}"
        done = subprocess.run([*command, "-q", "-o", str(clip)], check=True, timeout=120, capture_output=True)
        assert done.stderr == b"", "its executors write there, too"
        if suffix == ".mp4":
            assert decoded(clip.read_bytes()).shape == (FRAMES, 64, 64, 3)
        else:
            assert getattr(Image.open(clip), "n_frames", 1) == FRAMES
    refused = subprocess.run([*command, "-o", "clip.png"], timeout=120, capture_output=True, text=True)
    assert refused.returncode == 2 and ".mp4, .gif or .webp" in refused.stderr


def test_a_job_over_http_gives_a_clip_that_plays(photo: Path, tmp_path: Path) -> None:
    """The executor that decodes it writes it; the server's client gets its bytes."""
    with ServerProcess(None, tmp_path, "image-to-video", "text-to-image", "--executors", "2") as server:
        data = f"data:image/png;base64,{b64encode(photo.read_bytes()).decode()}"
        body = {"workflow": "image-to-video", "inputs": {"image": data, "prompt": "moves up", "steps": 2}}
        answer = server.post("/v1/jobs", body)
        assert answer.status_code == 201, answer.text
        job = server.ended(answer.json()["id"])
        assert job["status"] == "succeeded"
        (output,) = job["outputs"]
        assert (output["type"], output["content_type"]) == ("video", "video/mp4")
        assert decoded(server.get(output["url"]).content).shape == (FRAMES, 64, 64, 3)
        assert {model["id"] for model in server.get("/v1/models").json()["data"]} == {"text-to-image"}


def test_the_shipped_model_is_small_and_declares_itself() -> None:
    files = [path for path in export.SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 6_000_000
    assert not [path for path in files if path.suffix in (".bin", ".pt", ".pkl")]
    facts = json.loads((export.SHIPPED / "brickwork.json").read_text())
    assert facts["sizes"] == [[64, 64]] and facts["defaults"] == export.DEFAULTS
