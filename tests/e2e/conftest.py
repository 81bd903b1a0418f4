"""What the tests of the server share: a tiny model that also shows previews, and one running server."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from brickwork.starter.workflows import STARTER
from support.server import ServerProcess


@pytest.fixture(scope="session")
def served_model(tiny_sd3: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny_sd3` with a preview map, drawn at random as the rest of it; for the page's photograph the real starter."""
    if os.environ.get("BRICKWORK_SCREENSHOT"):
        if not (STARTER / "transformer" / "preview.safetensors").is_file():
            pytest.skip("the starter has no preview map yet (python -m brickwork.starter.preview makes it)")
        return STARTER
    directory = shutil.copytree(tiny_sd3, tmp_path_factory.mktemp("served") / "tiny-sd3")
    torch.manual_seed(1)
    weights = {"weight": torch.randn(4, 8 * 8 * 3) * 0.2, "bias": torch.full((8 * 8 * 3,), 0.5)}
    save_file(weights, directory / "transformer" / "preview.safetensors")
    return directory


@pytest.fixture(scope="session")
def server(served_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server for tests that leave it as it is."""
    with ServerProcess(served_model, tmp_path_factory.mktemp("state")) as running:
        yield running
