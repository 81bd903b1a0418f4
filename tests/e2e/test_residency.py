"""Goal: a load never stops a running request: steps go on while another model is loaded beside them.

Method: one executor and its real loading thread. While a long loop runs, a request arrives whose text encoder has not
been loaded; that has so many small layers that building it is seconds of Python, which is what could stop the others.
Steps of the loop are counted between the order to load and the end of the load.
"""

import shutil
import threading
from pathlib import Path
from time import monotonic, sleep

import pytest
from transformers import T5Config, T5EncoderModel

import brickwork as bw
from brickwork.coordinator.runs import Progress
from parity import workflows
from support.tiny import sd3

PATIENCE_S = 120.0
MIN_STEPS = 10
"""Steps that the loop takes during the load, at least: a step is milliseconds, the load a second or more."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two directories with the same files, but for a text encoder that is slow to load."""
    quick = sd3.build(tmp_path_factory.mktemp("quick"))
    slow = shutil.copytree(quick, tmp_path_factory.mktemp("slow") / "model")
    config = T5Config.from_pretrained(slow / "text_encoder_3", num_layers=200)
    T5EncoderModel(config).save_pretrained(slow / "text_encoder_3")
    return quick, slow


def test_steps_go_on_while_another_model_is_loaded(models: tuple[Path, Path]) -> None:
    running, waiting = (workflows.text_to_image(directory) for directory in models)
    known = {model.id for model in running.plan.models}
    [wanted] = [model.id for model in waiting.plan.models if model.id not in known]
    steps = [0]
    has_begun = threading.Event()

    def watch(progress: Progress) -> None:
        if progress.task == "denoise":
            steps.append(progress.step)
            has_begun.set()

    with bw.Cluster(executors=1) as cluster:
        ask = {"seed": 1, "guidance": 2.0}
        first = cluster.submit(running, prompt="a red circle", steps=1000, on_progress=watch, **ask)
        assert has_begun.wait(PATIENCE_S)
        second = cluster.submit(waiting, prompt="a blue square", steps=1, **ask)
        before = steps[-1]
        deadline_s = monotonic() + PATIENCE_S
        while not any(wanted in resident for resident in cluster.residency().values()):
            assert monotonic() < deadline_s
            sleep(0.01)
        after = steps[-1]
        assert not first.is_done(), "the loop was to go on for longer than the load"
        second.result(PATIENCE_S)
        first.cancel()
    assert after - before >= MIN_STEPS
