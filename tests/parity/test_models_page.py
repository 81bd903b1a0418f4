"""Goal: the documentation's table of models is the table that is tested.

Method: the page is made anew, and compared.
"""

import importlib.util
from pathlib import Path


def test_the_page_shows_the_tested_table() -> None:
    script = Path(__file__).parents[2] / "scripts/models_table.py"
    spec = importlib.util.spec_from_file_location("models_table", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run python scripts/models_table.py"
