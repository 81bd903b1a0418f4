"""Goal: what the documentation shows is what happens.

Method: the python blocks of each page run in order in one namespace, in a directory with a tiny model under
`models/sd3`. A `text` block right after a python block is what that block prints, word for word. Shell blocks are not
run here.
"""

import contextlib
import io
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("README.md")])
FENCE = re.compile(r"^```(?P<kind>\w*)[^\n]*\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A python block, the line it starts in, and what it must print (None: whatever it likes)."""

    code: str
    line: int
    printed: str | None


def blocks(text: str) -> list[Block]:
    found = list(FENCE.finditer(text))
    result = []
    for match, follower in zip(found, [*found[1:], None], strict=False):
        if match["kind"] == "python":
            between = text[match.end() : follower.start()].strip() if follower else "-"
            printed = follower["body"] if follower and follower["kind"] == "text" and not between else None
            result.append(Block(match["body"], text.count("\n", 0, match.start("body")), printed))
    return result


PAGES_WITH_CODE = [page for page in PAGES if blocks(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=[str(page.relative_to(ROOT)) for page in PAGES_WITH_CODE])
def test_every_block_runs(page: Path, tiny_sd3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(tiny_sd3, tmp_path / "models" / "sd3")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "page"}
    for block in blocks(page.read_text(encoding="utf-8")):
        code = compile("\n" * block.line + block.code, page.name, "exec")  # errors show the page's own lines
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(code, namespace)
        if block.printed is not None:
            assert output.getvalue() == block.printed, f"{page.name}:{block.line} prints something else"


def test_blocks_are_found_with_what_they_print() -> None:
    page = "a\n```python\nprint(1)\n```\n\n```text\n1\n```\n```sh\nls\n```\n```python\nx = 2\n```\nb\n```text\n2\n```\n"
    assert blocks(page) == [Block("print(1)\n", 2, "1\n"), Block("x = 2\n", 12, None)]


def test_the_workflow_layer_is_shown_on_one_page() -> None:
    """Every public name appears in a block of the guide, except the errors, of which the page shows the families."""
    import brickwork

    page = (ROOT / "docs/guides/workflows.md").read_text(encoding="utf-8")
    shown = "".join(match["body"] for match in FENCE.finditer(page))
    of_running = {"Cluster", "Client", "AsyncClient", "Cancelled", "Rejected", "RequestFailed", "BrickworkError"}
    assert [name for name in brickwork.__all__ if name not in of_running and f"bw.{name}" not in shown] == []
