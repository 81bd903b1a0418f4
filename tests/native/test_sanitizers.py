"""Goal: the native ring has no data race that the thread sanitizer can see.

Method: tests/native/inbox_stress.cpp, built without Python, runs both rings that are used with producers that come and
go and a consumer that starts again. The address sanitizer takes minutes to build: `scripts/sanitize.sh address`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEARCH = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", "")])  # as the script does
MISSING = [program for program in ("c++", "cmake", "ninja") if not shutil.which(program, path=SEARCH)]


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}")
def test_threads_do_not_race(tmp_path: Path) -> None:
    command = [str(ROOT / "scripts/sanitize.sh"), "thread", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().endswith("ok")
