"""Goal: the example of the guide "a new family" is complete: as written there, it serves.

Method: every python block of the page stands in `support/doodle.py`, which is added as the page says and compared, bit
for bit, with a plain loop over the library's parts.
"""

import re
from pathlib import Path

import pytest
import torch

import brickwork as bw
from brickwork.models.registry import operations
from brickwork.models.vae import to_uint8
from brickwork.workflow import catalog
from support import doodle, inprocess

PAGE = Path(__file__).parents[3] / "docs/guides/new-family.md"


def test_the_page_shows_this_code() -> None:
    source = Path(doodle.__file__).read_text(encoding="utf-8")
    shown = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(shown) >= 3
    for block in shown:
        code = re.sub(r"\A(?:(?:from|import) [^\n]*\n|\n)+", "", block)
        assert code.strip() in source, f"not in the example: {code[:60]!r}"


def test_the_example_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog.FAMILIES, "DoodlePipeline", "support.doodle:DoodleFamily")
    for name, op in doodle.OPS.items():
        monkeypatch.setitem(operations(), name, op)
    directory = doodle.build(tmp_path / "doodle")
    family = bw.family(directory)

    @bw.workflow
    def doodled(prompt: str, seed: int, steps: int = 4, guidance: float = 3.0) -> bw.Image:
        text = family.encode(prompt)
        return family.decode(family.denoise(family.noise(seed, "64x64"), text, steps=steps, guidance=guidance))

    ours = inprocess.run(doodled, prompt="a red circle", seed=3)["image"]
    assert torch.equal(ours, to_uint8(doodle.by_hand(directory, "a red circle", 3, 4, 3.0)))
