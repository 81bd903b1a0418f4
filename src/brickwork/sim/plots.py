"""Small plots as SVG text, without a plotting library: lines over a linear or logarithmic axis, with a legend."""

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
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>',
        f'<text x="{LEFT + wide / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_label)}</text>',
        f'<text x="14" y="{TOP + high / 2}" text-anchor="middle" transform="rotate(-90 14 {TOP + high / 2})">'
        f"{escape(y_label)}</text>",
    ]
    for k in range(6):
        x, y = LEFT + wide * k / 5, TOP + high * (1 - k / 5)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + wide}" y2="{y:.1f}" stroke="#e5e5e5"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{top_y * k / 5:.3g}</text>')
        parts.append(f'<text x="{x:.1f}" y="{TOP + high + 18}" text-anchor="middle">{top_x * k / 5:.3g}</text>')
    for k, (name, points) in enumerate(series.items()):
        color = COLORS[k % len(COLORS)]
        path = " ".join(f"{LEFT + wide * x / top_x:.1f},{TOP + high * (1 - y / top_y):.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        at_y = TOP + 16 * k + 10
        parts.append(f'<rect x="{WIDTH - RIGHT + 14}" y="{at_y - 9}" width="10" height="10" fill="{color}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 30}" y="{at_y}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>\n"])


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
