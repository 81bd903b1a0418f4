"""Goal: the command line makes a picture, explains mistakes by field, and stops at once and cleanly.

Method: the installed command in a real process.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brickwork.starter.workflows import STARTER
from support.processes import all_gone, children_of

COMMAND = [sys.executable, "-m", "brickwork.cli"]


def brickwork(*args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *args], capture_output=True, text=True, timeout=120, cwd=cwd)


def test_run_writes_the_picture_and_prints_its_path(tmp_path: Path) -> None:
    output = tmp_path / "out.png"
    done = brickwork("run", "text-to-image", "a red circle above a blue square", "-o", str(output))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(output)
    assert Image.open(output).size == (64, 64)
    assert "denoise" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png"]


def test_the_same_request_gives_the_same_file(tmp_path: Path) -> None:
    pictures = []
    for executors in ("1", "3"):
        path = tmp_path / f"{executors}.png"
        brickwork("run", "text-to-image", "a green triangle", "--seed", "4", "--executors", executors,
                  "--deterministic", "-q", "-o", str(path))  # fmt: skip
        pictures.append(np.asarray(Image.open(path)))
    assert np.array_equal(*pictures)


def test_image_to_image_and_a_trace(tmp_path: Path) -> None:
    first, second, trace = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "trace.json"
    assert brickwork("run", "text-to-image", "a red circle", "-o", str(first)).returncode == 0
    done = brickwork("run", "image-to-image", str(first), "a blue circle", "-o", str(second), "--trace", str(trace))
    assert done.returncode == 0, done.stderr
    assert '"vae.encode"' in trace.read_text()


@pytest.mark.parametrize("command", [["--help"], ["run", "--help"], ["run", "text-to-image", "--help"]])
def test_help_shows_examples_and_does_not_load_torch(command: list[str]) -> None:
    program = (
        "import sys; sys.argv[0] = 'brickwork'\n"
        "from brickwork.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    print(end.code, 'torch' in sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True, timeout=60)
    assert done.stderr.split() == ["0", "False"], done.stderr
    assert "brickwork" in done.stdout


BAD = [
    (["text-to-image", ""], "prompt"),
    (["text-to-image", "a rde circle"], "rde"),
    (["text-to-image", "red " * 30_000], "prompt"),  # Linux allows 128 KiB in one argument
    (["text-to-image", "a red circle", "--size", "63x64"], "size"),
    (["text-to-image", "a red circle", "--size", "big"], "size"),
    (["text-to-image", "a red circle", "--steps", "0"], "steps"),
    (["text-to-image", "a red circle", "--steps", "1000000000"], "steps"),
    (["text-to-image", "a red circle", "--steps", "many"], "steps"),
    (["text-to-image", "a red circle", "--guidance", "nan"], "guidance"),
    (["text-to-image", "a red circle", "--seed", "-1"], "seed"),
    (["text-to-image", "a red circle", "-o", "nowhere/out.png"], "output"),
    (["text-to-image", "a red circle", "-o", "out.exe"], "output"),
    (["text-to-image", "a red circle", "--memory-budget", "much"], "memory-budget"),
    (["text-to-image", "a red circle", "--model", "missing"], "missing"),
    (["text-to-imag", "a red circle"], "text-to-image"),
    (["image-to-image", "missing.png", "a red circle"], "image"),
    (["nothing.py:poster"], "nothing.py"),
]


@pytest.mark.parametrize("args, named", BAD, ids=lambda value: str(value)[:40])
def test_bad_input_is_refused_by_name(args: list[str], named: str, tmp_path: Path) -> None:
    done = brickwork("run", *args, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 2000
    assert list(tmp_path.iterdir()) == []


def test_a_corrupt_model_directory_is_named(tmp_path: Path) -> None:
    broken = shutil.copytree(STARTER, tmp_path / "broken")
    weights = next((broken / "vae").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:1000])
    done = brickwork("run", "text-to-image", "a red circle", "--model", str(broken), cwd=tmp_path)
    assert done.returncode == 2
    assert "vae" in done.stderr and "Traceback" not in done.stderr


def test_a_mistake_in_a_workflow_is_told_with_its_line(tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    source.write_text(
        "import brickwork as bw\n"
        f"DIRECTORY = {str(STARTER)!r}\n"
        "@bw.workflow\n"
        "def poster(prompt: str, seed: int = 0) -> bw.Image:\n"
        "    sd3 = bw.family(DIRECTORY)\n"
        "    return sd3.decode(sd3.encode(prompt))\n"
    )
    done = brickwork("run", f"{source}:poster", "a red circle", cwd=tmp_path)
    assert done.returncode == 2
    assert "mine.py:6" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("to_group", [True, False], ids=["terminal", "single process"])
def test_ctrl_c_stops_everything_within_five_seconds(to_group: bool, tmp_path: Path) -> None:
    """A terminal's Ctrl-C reaches the whole process group; `kill -INT` only the command."""
    command = [*COMMAND, "run", "text-to-image", "a red circle", "--steps", "1000", "-o", "out.png"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True, bufsize=1
    )
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.startswith("denoise ") and "/" in line:
            break
    family = children_of(process.pid)
    assert len(family) >= 3, seen
    os.killpg(process.pid, signal.SIGINT) if to_group else os.kill(process.pid, signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait(timeout=5) == 130
    assert "Traceback" not in rest and rest.strip().endswith("stopped")
    assert all_gone(family, within_s=1) == []
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_executors_start(tmp_path: Path) -> None:
    command = [*COMMAND, "run", "text-to-image", "a red circle", "-o", "out.png"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True)
    assert process.stderr is not None
    assert "starting" in process.stderr.readline()
    os.killpg(process.pid, signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait(timeout=5) == 130
    assert "Traceback" not in rest
    assert all_gone(children_of(process.pid), within_s=1) == []
