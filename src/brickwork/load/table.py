"""Figures side by side, for people."""

from collections.abc import Mapping

from rich.table import Table

from brickwork.load.report import Figures

_COLUMNS = ("offered", "attained", "late", "rejected", "failed", "attainment", "goodput /s", "p50 s", "p95 s", "p99 s")


def table(title: str, rows: Mapping[str, Figures]) -> Table:
    """One line of figures for each name; latencies are of the successful requests."""
    made = Table(title)
    for column in _COLUMNS:
        made.add_column(column, justify="right", no_wrap=True)
    for name, figures in rows.items():
        made.add_row(name, *_cells(figures))
    return made


def _cells(figures: Figures) -> list[str]:
    counts = [figures.offered, figures.attained, figures.late, figures.rejected, figures.failed]
    latencies_s = [figures.latency_s_p50, figures.latency_s_p95, figures.latency_s_p99]
    return [
        *(str(count) for count in counts),
        f"{figures.attainment:.1%}",
        f"{figures.goodput_per_s:.2f}",
        *("-" if latency_s is None else f"{latency_s:.3f}" for latency_s in latencies_s),
    ]
