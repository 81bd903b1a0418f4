"""Goal: what is wrong with a request is said by field, before anything runs; the cluster is none the worse.

Method: a table of wrong inputs through the Python interface of a running cluster, then a right one.
"""

import threading
from typing import Any

import numpy as np
import pytest

import brickwork as bw
from brickwork.starter.workflows import WORKFLOWS

GOOD = {"prompt": "a red circle", "steps": 2}
BAD = [
    ({"prompt": ""}, "prompt"),
    ({"prompt": "red " * 250_000}, "prompt"),
    ({"prompt": "a crimson circle"}, "crimson"),
    ({"prompt": 7}, "prompt"),
    ({"prompt": "a \ud800 circle"}, "prompt"),
    ({"steps": 0}, "steps"),
    ({"steps": 10**9}, "steps"),
    ({"steps": 2.5}, "steps"),
    ({"steps": True}, "steps"),
    ({"steps": "12"}, "steps"),
    ({"guidance": float("nan")}, "guidance"),
    ({"guidance": float("inf")}, "guidance"),
    ({"size": (63, 64)}, "size"),
    ({"size": "63x64"}, "size"),
    ({"size": (64, 64, 3)}, "size"),
    ({"seed": -1}, "seed"),
    ({"seed": 2**70}, "seed"),
    ({"colour": "red"}, "colour"),
]
PICTURES = ["missing.png", 7, np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3), np.float32), b"\x89PNG"]


def test_wrong_requests_are_refused_and_right_ones_still_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    text_to_image, image_to_image = WORKFLOWS["text-to-image"](), WORKFLOWS["image-to-image"]()
    broken = tmp_path_factory.mktemp("pictures") / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\x00" * 40)
    with bw.Cluster(executors=1) as cluster:
        for change, named in BAD:
            with pytest.raises(bw.InputError, match=named) as caught:
                cluster.run(text_to_image, **(GOOD | change))
            assert len(str(caught.value)) < 1000
        with pytest.raises(bw.InputError, match="prompt"):
            cluster.run(text_to_image, steps=2)
        for picture in [*PICTURES, broken]:
            with pytest.raises(bw.InputError, match="image"):
                cluster.run(image_to_image, image=picture, **GOOD)
        with pytest.raises(bw.Rejected) as refused:
            cluster.run(text_to_image, deadline_s=1e-6, **GOOD)
        assert refused.value.retry_after_s is None, "no waiting makes a microsecond enough"
        assert cluster.run(text_to_image, **GOOD).image.size == (64, 64)
        assert cluster.leaked_blocks() == 0


def test_a_cluster_that_is_closed_says_so() -> None:
    cluster = bw.Cluster(executors=1)
    cluster.close()
    cluster.close()
    with pytest.raises(bw.BrickworkError, match="closed"):
        cluster.run(WORKFLOWS["text-to-image"](), **GOOD)


def test_cancel_ends_a_run_at_the_next_step() -> None:
    """A cancelled request ends as cancelled, gives its tensors back, and the executor takes other work."""
    workflow = WORKFLOWS["text-to-image"]()
    with bw.Cluster(executors=1) as cluster:
        stepped = threading.Event()

        def note(progress: Any) -> None:
            if progress.steps == 1000:
                stepped.set()

        handle = cluster.submit(workflow, prompt="a red circle", steps=1000, on_progress=note)
        queued = cluster.submit(workflow, prompt="a red circle", steps=1000, deterministic=True)
        assert stepped.wait(60)
        for each in (handle, queued):
            each.cancel()
            with pytest.raises(bw.Cancelled):
                each.result(30)
        assert cluster.run(workflow, **GOOD).image.size == (64, 64)
        assert cluster.leaked_blocks() == 0
        steps = [span.step for span in cluster.timeline(handle.request_id) if span.op == "sd3.predict"]
        assert max(steps) < 999
