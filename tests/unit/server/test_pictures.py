"""Goal: pictures from strangers are taken or refused by name, and nothing they send is taken for a path.

Method: real files of every format through the border, broken ones too; results in every format back out.
"""

import base64
import errno
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import brickwork as bw
from brickwork.compiler.artifacts import write_artifacts
from brickwork.compiler.compile import compile_graph
from brickwork.coordinator.runs import Result
from brickwork.core.errors import InputError
from brickwork.core.ids import RequestId
from brickwork.server import pictures
from brickwork.server.pictures import encoded, kept_results, reencoded, take_picture
from brickwork.starter.workflows import STARTER
from brickwork.store.artifacts import ArtifactDirectory, ArtifactKey, unwritten
from brickwork.store.errors import StoreError, of_os


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> ArtifactDirectory:
    return ArtifactDirectory(tmp_path_factory.mktemp("artifacts"))


def data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


def file(file_format: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(buffer, file_format)
    return buffer.getvalue()


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_what_comes_in_is_kept_as_it_came(file_format: str, artifacts: ArtifactDirectory) -> None:
    data = file(file_format)
    key, picture = take_picture("photo", data_url(data), artifacts)
    assert artifacts.read(key) == data and picture.size == (8, 6)
    assert key.media_type == f"image/{file_format.lower()}", "the file says what it is, not the client"
    again, _ = take_picture("photo", str(key), artifacts)
    assert again == key


@given(st.text(max_size=60))
def test_other_texts_are_refused(artifacts: ArtifactDirectory, text: str) -> None:
    with pytest.raises(InputError) as refused:
        take_picture("photo", text, artifacts)
    assert refused.value.field == "photo"


@given(st.binary(max_size=200), st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", ""]), st.integers(0, 60))
def test_broken_pictures_are_refused(artifacts: ArtifactDirectory, noise: bytes, file_format: str, at: int) -> None:
    data = (file(file_format) if file_format else b"")[:at] + noise
    try:
        take_picture("photo", data_url(data), artifacts)
    except InputError as refused:
        assert refused.field == "photo"


@pytest.mark.parametrize("file_format", ["BMP", "TIFF", "PPM"])
def test_few_formats_are_read(file_format: str, artifacts: ArtifactDirectory) -> None:
    with pytest.raises(InputError, match="PNG"):
        take_picture("photo", data_url(file(file_format)), artifacts)


def test_a_huge_picture_is_refused_before_its_pixels_are_read(
    artifacts: ArtifactDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 40)
    with pytest.raises(InputError, match="8x6"):
        take_picture("photo", data_url(file("PNG")), artifacts)


@bw.workflow
def stored(prompt: str, photo: bw.Image, steps: int = 3):  # type: ignore[no-untyped-def]
    sd3 = bw.family(STARTER)
    return {"photo": photo, "latents": sd3.encode_image(photo, "64x64"), "steps": steps, "text": prompt}


def test_results_as_a_row_has_them(artifacts: ArtifactDirectory, tmp_path: Path) -> None:
    """A picture is a file already, whose key comes; another tensor becomes one; a text is a text, whatever it says."""
    plan = compile_graph(write_artifacts(stored.graph, tmp_path))
    key = artifacts.put(file("PNG"), "image/png")
    array = np.arange(6.0).reshape(2, 3)
    outputs = {"photo": str(key), "latents": array, "steps": 3, "text": str(key)}
    kept = dict(kept_results(plan, Result(RequestId("r-1"), outputs, 0.1), artifacts))
    assert kept["photo"] == key and kept["text"] == str(key) and kept["steps"] == 3
    assert isinstance(kept["latents"], ArtifactKey)
    assert np.array_equal(np.load(io.BytesIO(artifacts.read(kept["latents"])), allow_pickle=False), array)


def test_a_picture_that_its_executor_could_not_write(artifacts: ArtifactDirectory, tmp_path: Path) -> None:
    plan = compile_graph(write_artifacts(stored.graph, tmp_path))
    digest = unwritten(of_os(tmp_path, OSError(errno.ENOSPC, "no space")))
    outputs = {"photo": f"sha256-{digest.hex()}.png"}
    with pytest.raises(StoreError, match="the file system is full"):
        kept_results(plan, Result(RequestId("r-1"), outputs, 0.1), artifacts)


def test_png_passes_unchanged(artifacts: ArtifactDirectory) -> None:
    data = encoded(Image.new("RGB", (4, 4), "blue"), "png")
    assert reencoded(data, "png", 10) is data
    assert Image.open(io.BytesIO(reencoded(data, "webp", None))).format == "WEBP"


def test_nothing_is_written_elsewhere(artifacts: ArtifactDirectory, tmp_path: Path) -> None:
    take_picture("photo", data_url(file("PNG")), artifacts)
    assert list(tmp_path.iterdir()) == []
