"""Small plots as SVG text, without a plotting library: lines or groups of bars, with a legend."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from brickwork.core.request import Outcome

if TYPE_CHECKING:
    from brickwork.sim.points import Point

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 720, 400, 60, 50, 40, 170
COLORS = ("#0b6e99", "#d9730d", "#448361", "#9065b0", "#c14c8a", "#787774", "#cb912f", "#d44c47", "#337ea9", "#5f3dc4")

Series = Mapping[str, Sequence[tuple[float, float]]]
"""Name -> points, x rising."""


def lines(title: str, x_label: str, y_label: str, series: Series) -> str:
    """A line for each series, on axes from 0 to the largest value."""
    top_x = max((x for points in series.values() for x, _ in points), default=1.0) or 1.0
    top_y = max((y for points in series.values() for _, y in points), default=1.0) or 1.0
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = _frame(title, y_label, top_y)
    parts.append(f'<text x="{LEFT + wide / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_label)}</text>')
    for k in range(6):
        x = LEFT + wide * k / 5
        parts.append(f'<text x="{x:.1f}" y="{TOP + high + 18}" text-anchor="middle">{top_x * k / 5:.3g}</text>')
    for k, points in enumerate(series.values()):
        path = " ".join(f"{LEFT + wide * x / top_x:.1f},{TOP + high * (1 - y / top_y):.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{COLORS[k % len(COLORS)]}" stroke-width="2"/>')
    return "\n".join([*parts, *_legend(list(series)), "</svg>\n"])


def bars(title: str, y_label: str, groups: Mapping[str, Mapping[str, float]]) -> str:
    """Groups of bars side by side: {group: {bar: value}}. Equal bars have equal colors."""
    names = list(dict.fromkeys(name for values in groups.values() for name in values))
    top_y = max((value for values in groups.values() for value in values.values()), default=1.0) or 1.0
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    each = wide / max(1, len(groups))
    parts = _frame(title, y_label, top_y)
    for k, (group, values) in enumerate(groups.items()):
        at_x = LEFT + each * k
        parts.append(
            f'<text x="{at_x + each / 2:.1f}" y="{TOP + high + 18}" text-anchor="middle" font-size="10">'
            f"{escape(group)}</text>"
        )
        thick = each * 0.85 / max(1, len(names))
        for name, value in values.items():
            x, tall = at_x + each * 0.075 + names.index(name) * thick, high * value / top_y
            color = COLORS[names.index(name) % len(COLORS)]
            parts.append(
                f'<rect x="{x:.1f}" y="{TOP + high - tall:.1f}" width="{thick * 0.9:.1f}" height="{tall:.1f}" '
                f'fill="{color}"/>'
            )
    return "\n".join([*parts, *_legend(names), "</svg>\n"])


def _frame(title: str, y_label: str, top_y: float) -> list[str]:
    """Title, background and the y axis from 0 to `top_y`."""
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>',
        f'<text x="14" y="{TOP + high / 2}" text-anchor="middle" transform="rotate(-90 14 {TOP + high / 2})">'
        f"{escape(y_label)}</text>",
    ]
    for k in range(6):
        y = TOP + high * (1 - k / 5)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + wide}" y2="{y:.1f}" stroke="#e5e5e5"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{top_y * k / 5:.3g}</text>')
    return parts


def _legend(names: Sequence[str]) -> list[str]:
    parts = []
    for k, name in enumerate(names):
        y = TOP + 16 * k + 10
        color = COLORS[k % len(COLORS)]
        parts.append(f'<rect x="{WIDTH - RIGHT + 14}" y="{y - 9}" width="10" height="10" fill="{color}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 30}" y="{y}">{escape(name)}</text>')
    return parts


def latency_plot(title: str, points: Sequence["Point"]) -> str:
    """Share of the offered requests that were done within a latency, for control's policies."""
    series = {}
    for point in points:
        samples = [sample for report in point.reports for sample in report.samples]
        done = sorted(s.latency_s for s in samples if s.outcome is Outcome.SUCCEEDED and s.latency_s is not None)
        if done:
            every = max(1, len(done) // 200)
            curve = [(done[k], (k + 1) / len(samples)) for k in range(0, len(done), every)]
            series[point.policy] = [(0.0, 0.0), *curve]
    return lines(f"{title} (simulated)", "latency, s", "share of the requests", series)
