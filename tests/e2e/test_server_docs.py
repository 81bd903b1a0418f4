"""Goal: the serving guide and the README show what happens.

Method: their `py` and `curl` blocks run in order against a real server, whose address takes the place of the documented
one, in one directory for each page; the guide's tables are compared with the settings, metrics and routes that there
are.
"""

import json
import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from brickwork.server.settings import Settings
from support.server import ServerProcess

ROOT = Path(__file__).parents[2]
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("docs/guides/serving.md", "README.md")}
PAGE = PAGES["docs/guides/serving.md"]
BLOCK = re.compile(r"^```(py|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(kind, code) for page in PAGES.values() for kind, code in BLOCK.findall(page)]
URL = "http://127.0.0.1:8000"


@pytest.mark.parametrize("code", [code for kind, code in BLOCKS if kind == "py"])
def test_python_blocks_run(
    code: str,
    server: ServerProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code.replace(URL, server.url), "serving.md", "exec"), {"__name__": "page"})
    printed = capsys.readouterr().out
    assert "True\n" in printed or "(64, 64)\n" in printed
    assert "stream=True" not in code or printed.endswith("image_generation.completed\n")


@pytest.mark.parametrize("code", [code for kind, code in BLOCKS if code.startswith("curl")])
def test_curl_blocks_run(code: str, server: ServerProcess, tmp_path: Path) -> None:
    """An answer is JSON without an error, or a stream of events to its end; a file that is written is a picture."""
    shell = ["sh", "-e", "-c", code.replace(URL, server.url)]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        answer = json.loads(line) if line.startswith("{") else {}
        assert answer.get("error") is None, answer
    files = list(tmp_path.iterdir())
    assert done.stdout or files
    assert all(Image.open(file).size == (64, 64) for file in files)


def test_the_readme_has_both() -> None:
    readme = [kind for kind, code in BLOCK.findall(PAGES["README.md"]) if kind == "py" or code.startswith("curl")]
    assert sorted(set(readme)) == ["py", "sh"]


def test_every_setting_metric_and_route_is_documented(server: ServerProcess) -> None:
    for name in Settings.model_fields:
        assert f"| `BRICKWORK_{name.upper()}`" in PAGE and f"| `{name}` |" in PAGE, name
    names = re.findall(r"^# TYPE (\w+)", server.get("/metrics").text, re.MULTILINE)
    assert names and [name for name in names if f"| `{name}" not in PAGE] == []
    paths = [path for path in server.get("/openapi.json").json()["paths"] if "{model}" not in path]
    shown = re.sub(r"\{\w+_?id\}", "{id}", PAGE)
    assert [path for path in paths if re.sub(r"\{\w*id\}", "{id}", path) not in shown] == []
