"""Goal: where the cluster's secret comes from, and that it is refused when others could know it and never shown."""

import os
import pickle
import stat
from pathlib import Path

import pytest

from brickwork.data.fabric.secret import (
    FILE_VARIABLE,
    VARIABLE,
    Secret,
    SecretError,
    find_secret,
    new_secret,
    read_secret,
    write_secret,
)

LONG = "correct horse battery staple"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    written = write_secret(path)
    assert find_secret({FILE_VARIABLE: str(path)}).reveal == written.reveal
    assert find_secret({FILE_VARIABLE: str(path), VARIABLE: LONG}).reveal == LONG.encode()


def test_without_any_the_remedy_is_told() -> None:
    with pytest.raises(SecretError, match=FILE_VARIABLE):
        find_secret({})


def test_a_file_is_made_for_its_owner_alone_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    first = write_secret(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and len(first.reveal) == 64
    with pytest.raises(SecretError, match="exists"):
        write_secret(path)
    assert read_secret(path).reveal == first.reveal


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o610])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    path.write_text(LONG)
    path.chmod(mode)
    with pytest.raises(SecretError, match="chmod 600"):
        read_secret(path)


def test_what_cannot_be_read_or_is_too_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="No such file"):
        read_secret(tmp_path / "none")
    path = tmp_path / "short"
    path.write_text("too short\n")
    os.chmod(path, 0o600)
    with pytest.raises(SecretError, match="at least 16"):
        read_secret(path)


def test_it_is_not_shown_nor_pickled() -> None:
    secret = new_secret()
    assert repr(secret) == str(secret) == "Secret(...)" and len(secret.reveal) == 32
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert new_secret().reveal != secret.reveal
    assert Secret(b"x" * 16).reveal == b"x" * 16
