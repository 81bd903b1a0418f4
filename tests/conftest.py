"""What every suite shares: no test reaches a model hub or the user's cache; Hypothesis sets no deadline, for
machines are loaded; `tiny_sd3` is a model directory that real classes read and run."""

import os
import signal
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports huggingface_hub, which reads it once
os.environ["OMP_NUM_THREADS"] = "1"  # before anything imports torch: two threads add up in another order than one

import pytest
from hypothesis import settings

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background: children would ignore Ctrl-C, too
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("brickwork", deadline=None, print_blob=True)
settings.load_profile("brickwork")


@pytest.fixture(scope="session")
def tiny_sd3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random SD3 directory that declares words, sizes and defaults. Do not write into it."""
    from support.tiny_sd3 import build_tiny_sd3

    return build_tiny_sd3(tmp_path_factory.mktemp("models") / "tiny-sd3")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
