"""Lines of results, found by what they are about: of equal ones the last counts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OURS = "brickwork"
MONOLITHS = ("B0", "B1", "B2")
DIFLOW = ("B5", "B5r", "B5p")
FOUND = ("rate", "height", "cv", "devices")

Line = dict[str, Any]
Row = tuple[str, str, str]
"""Scenario, what is varied (as JSON), which requests are judged."""


@dataclass
class Lines:
    """The lines of one experiment by row and (policy, admission), in order of the file."""

    rows: dict[Row, dict[tuple[str, str], Line]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def at(self, scenario: str, judge: str = "all", **varied: Any) -> "Points":
        """The lines of the row in which `varied` has exactly these values; "__" in a name stands for a dot."""
        named = {name.replace("__", "."): value for name, value in varied.items()}
        for (name, row, judged), points in self.rows.items():
            if name == f"{scenario}.yaml" and judged == judge and json.loads(row) == named:
                return Points(points)
        return Points({})


@dataclass(frozen=True)
class Points:
    """The lines of one row."""

    lines: dict[tuple[str, str], Line]

    def value(self, policy: str) -> float | None:
        """What was found for a policy under common admission; 0 when nothing held, None without a line."""
        line = self.lines.get((policy, "common"))
        found = next((field for field in FOUND if line and field in line), None)
        return None if line is None or found is None else line[found] or 0.0

    def best(self, policies: Sequence[str]) -> float | None:
        """The largest of several policies' values; None without any."""
        return max((v for p in policies if (v := self.value(p)) is not None), default=None)

    def fewest(self, policies: Sequence[str]) -> float | None:
        """The smallest of several policies' values that is not 0; None without any."""
        return min((v for p in policies if (v := self.value(p))), default=None)


def read(path: Path) -> Lines:
    found = Lines()
    for text in path.read_text(encoding="utf-8").splitlines():
        for line in _split(json.loads(text)):
            if "skipped" in line:
                found.skipped.append(f"{line['scenario']} {line['policy']}: {line['skipped']}")
            else:
                row = (line["scenario"], json.dumps(line["row"]), line["judge"])
                found.rows.setdefault(row, {})[line["policy"], line["admission"]] = line
    return found


def _split(line: Line) -> list[Line]:
    """A line that holds several points of load, as one line each."""
    if "points" not in line:
        return [line]
    rows = [(line["row"] | {"requests per second": float(value)}, point) for value, point in line["points"].items()]
    return [{**line, **point, "row": row} for row, point in rows]
