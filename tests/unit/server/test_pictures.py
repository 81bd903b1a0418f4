"""Goal: pictures from strangers are taken or refused by name, and nothing they send is taken for a path.

Method: real files of every format through the border, broken ones too; results in every format back out.
"""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from brickwork.core.errors import InputError
from brickwork.server import pictures
from brickwork.server.pictures import artifact_of, encoded, reencoded, take_picture
from brickwork.store.artifacts import ArtifactDirectory, ArtifactKey


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


def test_results_as_artifacts(artifacts: ArtifactDirectory) -> None:
    picture = Image.new("RGB", (4, 4), "blue")
    key = artifact_of(picture, artifacts)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(artifacts.read(key)))), np.asarray(picture))
    assert artifact_of(str(key), artifacts) == key, "what an executor has written already"
    array = np.arange(6.0).reshape(2, 3)
    stored = artifact_of(array, artifacts)
    assert isinstance(stored, ArtifactKey)
    assert np.array_equal(np.load(io.BytesIO(artifacts.read(stored)), allow_pickle=False), array)
    assert artifact_of("a text", artifacts) == "a text" and artifact_of(3, artifacts) == 3


def test_png_passes_unchanged(artifacts: ArtifactDirectory) -> None:
    data = encoded(Image.new("RGB", (4, 4), "blue"), "png")
    assert reencoded(data, "png", 10) is data
    assert Image.open(io.BytesIO(reencoded(data, "webp", None))).format == "WEBP"


def test_nothing_is_written_elsewhere(artifacts: ArtifactDirectory, tmp_path: Path) -> None:
    take_picture("photo", data_url(file("PNG")), artifacts)
    assert list(tmp_path.iterdir()) == []
