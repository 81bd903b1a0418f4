"""Goal: live executors obey step boundaries: a short task is let through a running loop, the loop goes on from its
checkpoint with company, and its picture is the same as if nothing had happened.

Method: one executor, the starter. While a request of 50 steps runs, a second one arrives; the story of the first tells
what was decided, and its picture is compared, bit by bit, with that of a run of its own (deterministic requests share
no batch, so that only the checkpoint could make a difference).
"""

import threading

import numpy as np

import brickwork as bw
from brickwork.coordinator.runs import Progress
from brickwork.starter.workflows import WORKFLOWS


def test_a_loop_that_yields_goes_on_from_its_checkpoint() -> None:
    workflow = WORKFLOWS["text-to-image"]()
    has_begun = threading.Event()

    def watch(progress: Progress) -> None:
        if progress.task == "denoise" and progress.step >= 1:
            has_begun.set()

    with bw.Cluster(executors=1) as cluster:
        lone = cluster.run(workflow, prompt="a red circle", seed=1, steps=50, deterministic=True)
        long = cluster.submit(workflow, prompt="a red circle", seed=1, steps=50, deterministic=True, on_progress=watch)
        assert has_begun.wait(60)
        short = cluster.submit(workflow, prompt="a blue square", seed=2, steps=2, deterministic=True)
        short.result(60)
        result = long.result(60)
        story = "\n".join(cluster.story(long.request_id))
        assert "Yield batch" in story and "yielded after step" in story, story
        assert np.array_equal(np.asarray(result.image), np.asarray(lone.image))
        assert cluster.leaked_blocks() == 0
