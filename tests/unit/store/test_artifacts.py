"""Goal: an artifact is what its name says, once it is visible; a sweep takes only what is old and not wanted; no key
leads out of the directory. Method: single steps, drawn texts as keys, and writers that race."""

import errno
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork.store.artifacts import ArtifactDirectory, ArtifactKey, unwritten, write_artifact
from brickwork.store.errors import StoreError, UnknownArtifact, of_os

ABC = ArtifactKey("sha256-ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.png")  # FIPS 180-2: "abc"


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactDirectory:
    return ArtifactDirectory(tmp_path / "artifacts")


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_bytes_come_back_under_the_digest(artifacts: ArtifactDirectory, tmp_path: Path) -> None:
    assert not artifacts.exists(ABC)
    assert artifacts.put(b"abc", "image/png") == ABC
    assert artifacts.read(ABC) == b"abc"
    assert ABC.media_type == "image/png"
    assert files(tmp_path) == [f"artifacts/ba/{ABC}"]
    assert artifacts.path(ABC).stat().st_mode & 0o777 == 0o600


def test_existing_content_is_made_young_and_not_written_again(artifacts: ArtifactDirectory) -> None:
    path = artifacts.path(artifacts.put(b"abc", "image/png"))
    before = path.stat()
    os.utime(path, (1.0, 1.0))
    artifacts.put(b"abc", "image/png")
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mtime >= before.st_mtime - 1


def test_what_is_not_there_is_unknown(artifacts: ArtifactDirectory) -> None:
    with pytest.raises(UnknownArtifact, match=str(ABC)):
        artifacts.open(ABC)


def test_changed_content_is_noticed(artifacts: ArtifactDirectory) -> None:
    artifacts.path(artifacts.put(b"abc", "image/png")).write_bytes(b"abd")
    with pytest.raises(StoreError, match="its content does not match its name"):
        artifacts.read(ABC)


@given(
    st.text(max_size=90) | st.just(f"../{ABC}") | st.just(f"{ABC}/..") | st.just(f"{ABC}\n") | st.just(ABC.text[:-4])
)
def test_no_other_text_is_a_key(text: str) -> None:
    with pytest.raises(ValueError, match="is no artifact key"):
        ArtifactKey(text)


@pytest.mark.parametrize("suffix", ["", "exe", "../png", "png/x"])
def test_only_known_suffixes_and_media_types(artifacts: ArtifactDirectory, tmp_path: Path, suffix: str) -> None:
    with pytest.raises(ValueError, match="is no artifact key"):
        write_artifact(tmp_path, b"abc", suffix)
    with pytest.raises(ValueError, match="no such media type"):
        artifacts.put(b"abc", f"image/x-{suffix}")
    assert files(tmp_path) == []


def test_a_sweep_takes_what_is_old_and_unwanted(artifacts: ArtifactDirectory, tmp_path: Path) -> None:
    wanted, old, young = (artifacts.put(data, "image/png") for data in (b"wanted", b"old", b"young"))
    leftover, fresh = tmp_path / "artifacts/tmp/leftover", tmp_path / "artifacts/tmp/fresh"
    stranger = artifacts.path(old).parent / "notes.txt"
    for path in (leftover, fresh, stranger):
        path.write_bytes(b"half a pict")
    now_s = time()
    for path in (artifacts.path(wanted), artifacts.path(old), leftover, stranger):
        os.utime(path, (now_s - 100, now_s - 100))
    assert artifacts.sweep({wanted}, older_than_s=50, now_s=now_s) == 2
    assert artifacts.exists(wanted) and artifacts.exists(young) and fresh.exists() and stranger.exists()
    assert not artifacts.exists(old) and not leftover.exists()


def test_an_open_artifact_stays_readable(artifacts: ArtifactDirectory) -> None:
    with artifacts.open(artifacts.put(b"abc", "image/png")) as file:
        assert artifacts.sweep(set(), older_than_s=-60, now_s=time()) == 1
        assert file.read() == b"abc"


def test_writers_and_a_sweeper_race(artifacts: ArtifactDirectory) -> None:
    """1. Four writers put the same few contents again and again, and look at once. 2. A sweeper removes all that is
    more than a moment old, wanting nothing. 3. Whoever has just put finds what it put, whole."""

    def put_and_look(number: int) -> bool:
        data = bytes([number % 3]) * 50_000
        return artifacts.read(artifacts.put(data, "application/octet-stream")) == data

    def sweep(_: int) -> bool:
        return artifacts.sweep(set(), older_than_s=0.5, now_s=time()) >= 0

    with ThreadPoolExecutor(5) as pool:
        sweeps = pool.map(sweep, range(40))
        assert all(pool.map(put_and_look, range(60)))
        assert all(sweeps)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EFBIG, errno.EIO])
def test_a_writer_elsewhere_says_why_it_could_not_write(artifacts: ArtifactDirectory, number: int) -> None:
    """Where the digest was to be; a real digest, of zeros too, says nothing of the kind."""
    failure = of_os(Path("anywhere"), OSError(number, os.strerror(number)))
    said = ArtifactKey(f"sha256-{unwritten(failure).hex()}.png")
    with pytest.raises(StoreError, match=os.strerror(number)) as told:
        artifacts.written(said)
    assert told.value.remedy == failure.remedy
    write_artifact(artifacts.path(ABC).parents[1], b"abc", "png")
    assert artifacts.written(ABC) == ABC


def test_what_was_never_written_cannot_be_promised(artifacts: ArtifactDirectory) -> None:
    with pytest.raises(StoreError, match=str(ABC)):
        artifacts.written(ABC)


@pytest.mark.parametrize("left", [b"", b"ab", b"abd"])
def test_what_a_loss_of_power_left_under_a_name_is_written_anew(artifacts: ArtifactDirectory, left: bytes) -> None:
    artifacts.path(artifacts.put(b"abc", "image/png")).write_bytes(left)
    assert artifacts.read(artifacts.put(b"abc", "image/png")) == b"abc"


def test_a_probe_finds_out_and_leaves_nothing(artifacts: ArtifactDirectory, tmp_path: Path) -> None:
    artifacts.probe()
    assert files(tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=re.escape(str(tmp_path / "file"))):
        ArtifactDirectory(tmp_path / "file").probe()


def test_executors_need_neither_sqlite_nor_torch() -> None:
    check = "import sys, brickwork.store.artifacts; print({'sqlite3', 'torch', 'asyncio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
