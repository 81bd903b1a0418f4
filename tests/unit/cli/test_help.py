"""Goal: help names the command as users type it, however it was started (compiled, it is started as a module)."""

import subprocess
import sys


def test_help_names_the_command() -> None:
    asked = [sys.executable, "-m", "brickwork.cli", "run", "--help"]
    shown = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert shown.startswith("Usage: brickwork run ")
