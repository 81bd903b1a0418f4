"""Goal: the shipped directory is small, declares itself, loads in the stock pipeline, and paints what it is asked."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from brickwork.starter import evaluate, export
from brickwork.starter.detect import judge
from brickwork.starter.words import VOCABULARY, Description, is_held_out


def test_the_evaluation_asks_what_it_says() -> None:
    todo = evaluate.cases()
    assert len(todo) == 256 * 3
    assert len({case.seed for case in todo}) == len(todo)
    groups = {group: [case.what for case in todo if case.group == group] for group in evaluate.COUNTS}
    assert len(groups["single"]) == 64 * 3
    assert not any(is_held_out(what) for what in groups["trained pair"])
    held_out: list[Description] = groups["held-out pair"]
    assert len(held_out) == 96 * 3
    assert all(is_held_out(what) for what in held_out)


def test_the_interval_is_wilsons() -> None:
    low, high = evaluate.wilson(95, 100)
    assert (round(low, 3), round(high, 3)) == (0.888, 0.978)
    assert evaluate.wilson(0, 10)[0] == 0.0


def test_it_is_small_and_declares_itself() -> None:
    files = [path for path in export.SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 12_000_000
    facts = json.loads((export.SHIPPED / "brickwork.json").read_text())
    assert facts["sizes"] == [[64, 64]]
    assert facts["words"] == list(VOCABULARY)
    assert facts["licence"] == "Apache-2.0"
    assert not [path for path in files if path.suffix in (".bin", ".pt", ".pkl")]


def test_it_paints_what_it_is_asked(tmp_path: Path) -> None:
    """A glance, not the measurement: every 12th caption of the evaluation, at most two wrong."""
    todo = evaluate.cases(seeds=1, only=12)
    pictures = evaluate.paint(export.load(), todo, **export.DEFAULTS)
    wrong = sum(not judge(case.what, picture).all_right for case, picture in zip(todo, pictures, strict=True))
    assert wrong <= 2
    evaluate.save_grid(pictures, todo, tmp_path / "grid.png")
    assert (tmp_path / "grid.png").stat().st_size > 0
