"""Goal: flags win over the environment, that over the file, that over defaults; mistakes are named with a remedy.

Method: files and variables of a test, read by the settings that the command uses.
"""

from pathlib import Path

import pytest

from brickwork.core.errors import InputError
from brickwork.server.settings import settings_of


def test_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "b.toml"
    config.write_text('executors = 3\nthreads = 3\nport = 3\nmemory_budget = "3MiB"\n')
    monkeypatch.setenv("BRICKWORK_THREADS", "4")
    monkeypatch.setenv("BRICKWORK_PORT", "4")
    settings = settings_of(config, {"port": "5"})
    assert (settings.executors, settings.threads, settings.port, settings.host) == (3, 4, 5, "127.0.0.1")
    assert settings.memory_bytes == 3 << 20


@pytest.mark.parametrize(
    ("text", "named"),
    [("executers = 2", "executers"), ("port = 'x'", "port"), ("port = ", "TOML"), ("memory_budget = 'much'", "memory")],
)
def test_mistakes_in_the_file(text: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(text)
    with pytest.raises(InputError, match=named) as refused:
        settings_of(tmp_path / "b.toml", {})
    assert "b.toml" in str(refused.value) or named == "memory"


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        settings_of(tmp_path / "none.toml", {})


def test_the_state_directory_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert settings_of(None, {}).state_dir == tmp_path / "brickwork"
