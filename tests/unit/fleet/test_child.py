"""Goal: a target's end becomes an exit code and its error a text on stderr. Method: targets of this file, by name."""

import sys
from typing import Any

import pytest

from brickwork.fleet.child import run


def give(config: dict[str, Any]) -> None:
    if "error" in config:
        raise config["error"]


@pytest.mark.parametrize(
    ("config", "code", "text"),
    [
        ({}, 0, ""),
        ({"error": SystemExit()}, 0, ""),
        ({"error": SystemExit(3)}, 3, ""),
        ({"error": SystemExit("no device")}, 1, "no device\n"),
        ({"error": ValueError("no device")}, 1, "ValueError: no device\n"),
        ({"error": KeyboardInterrupt()}, 1, "KeyboardInterrupt\n"),
    ],
)
def test_end_becomes_exit_code(
    config: dict[str, Any], code: int, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "targets", sys.modules[__name__])
    assert run("targets:give", config) == code
    assert capsys.readouterr().err.endswith(text)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("nowhere:main", "No module named 'nowhere'"),
        ("os:nobody", "no attribute 'nobody'"),
        ("os", "no attribute ''"),
    ],
)
def test_a_wrong_target_is_named(target: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(target, {}) == 1
    assert text in capsys.readouterr().err
