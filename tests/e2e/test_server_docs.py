"""Goal: the serving guide shows what happens.

Method: its `py` and `curl` blocks run in order against a real server, whose address takes the place of the documented
one; its tables are compared with the settings, metrics and routes that there are.
"""

import json
import re
import subprocess
from pathlib import Path

import pytest

from brickwork.server.settings import Settings
from support.server import ServerProcess

PAGE = (Path(__file__).parents[2] / "docs/guides/serving.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(py|sh)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
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
    assert "openai" not in code or printed.endswith("image_generation.completed\n")


@pytest.mark.parametrize("code", [code for kind, code in BLOCKS if code.startswith("curl")])
def test_curl_blocks_run(code: str, server: ServerProcess) -> None:
    done = subprocess.run(["sh", "-c", code.replace(URL, server.url)], capture_output=True, text=True, timeout=120)
    answer = json.loads(done.stdout)
    assert "error" not in answer or answer["error"] is None, answer


def test_every_setting_metric_and_route_is_documented(server: ServerProcess) -> None:
    for name in Settings.model_fields:
        assert f"| `BRICKWORK_{name.upper()}`" in PAGE and f"| `{name}` |" in PAGE, name
    names = re.findall(r"^# TYPE (\w+)", server.get("/metrics").text, re.MULTILINE)
    assert names and [name for name in names if f"| `{name}" not in PAGE] == []
    paths = [path for path in server.get("/openapi.json").json()["paths"] if "{model}" not in path]
    shown = re.sub(r"\{\w+_?id\}", "{id}", PAGE)
    assert [path for path in paths if re.sub(r"\{\w*id\}", "{id}", path) not in shown] == []
