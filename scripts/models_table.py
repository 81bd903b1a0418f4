"""Write docs/models.md from the tables of tests/parity. Run it after one changed; a test compares."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/models.md"

HEAD = """# Models: what is compared with Diffusers

Each ✓ is a test (`tests/parity/`): the workflow runs on executors in processes of their own, unbatched in fp32, and
its final latents and picture must equal those of the stock Diffusers pipeline with the same seed, **bit for bit**. For
every family with text to image the same holds after all executors were killed in the middle, and pictures of requests
that were batched together differ from each alone by at most one part in 255 on 99.9 % of the pixels. Directories are
tiny and random, built from configurations; nothing is downloaded. `./test tests/parity` runs all of it, in two minutes
on two cores. This page is written by `python scripts/models_table.py`.

"""


def page() -> str:
    """The text of the page."""
    sys.path.insert(0, str(ROOT / "tests"))
    from parity.table import CELLS, FEATURES

    families = list(dict.fromkeys(family for family, _ in CELLS))
    lines = [f"| | {' | '.join(FEATURES)} |", f"| --- |{' :-: |' * len(FEATURES)}"]
    notes: list[str] = []
    for family in families:
        marks = []
        for feature in FEATURES:
            cell = CELLS.get((family, feature))
            if cell is not None and cell.note and cell.note not in notes:
                notes.append(cell.note)
            marks.append("" if cell is None else f"✓{_mark(notes, cell.note)}")
        lines.append(f"| {family} | {' | '.join(marks)} |")
    footnotes = [f"{k}. {note[0].upper()}{note[1:]}." for k, note in enumerate(notes, start=1)]
    pipelines = [f"* **{family}**: {_pipelines(CELLS, family)}" for family in families]
    pictures = [HEAD + "\n".join(lines), "", *footnotes, "", "Compared with:", "", *pipelines, ""]
    return "\n".join([*pictures, *_videos()])


def _videos() -> list[str]:
    """Lines of the table of video models."""
    from parity.video_table import CELLS, FEATURES, MODELS

    lines = [
        "## Videos",
        "",
        "The frames are compared. Every row is also run through a kill of all executors, and every cell batched.",
        "",
    ]
    lines += [f"| | {' | '.join(FEATURES)} | compared with |", f"| --- |{' :-: |' * len(FEATURES)} --- |"]
    for name, model in MODELS.items():
        marks = " | ".join("✓" if (name, feature) in CELLS else "" for feature in FEATURES)
        classes = ", ".join(f"`{pipeline.__name__}`" for pipeline in model.pipelines)
        lines.append(f"| {name} | {marks} | {classes} |")
    return [*lines, ""]


def _mark(notes: list[str], note: str) -> str:
    return f" ({notes.index(note) + 1})" if note else ""


def _pipelines(cells: dict, family: str) -> str:
    return ", ".join(dict.fromkeys(f"`{cell.pipeline}`" for (name, _), cell in cells.items() if name == family))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} is written")
