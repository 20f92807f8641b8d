"""Draws a line chart or a stacked area chart as SVG: axes, grid, marks and a legend. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, Literal

WIDTH: Final = 920
HEIGHT: Final = 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 14, 22, 30
_COLOURS: Final = 8
_LEAST: Final = 1e-6
_DECADES: Final = 8
"""The most powers of ten that a logarithmic scale shows; smaller values are drawn at its bottom."""


@dataclass(frozen=True, slots=True)
class ChartSeries:
    """One line: a value for each time, None where there is none."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """The content of a chart.

    `marks` are vertical lines: (time, name). A logarithmic `scale` needs values above 0.
    """

    title: str
    unit: str
    times: Sequence[float]
    series: Sequence[ChartSeries]
    marks: Sequence[tuple[float, str]] = ()
    scale: Literal["linear", "log"] = "linear"
    stacked: bool = False


def draw(chart: Chart) -> str:
    """The chart as an `svg` element; its colours are classes of the page's style sheet."""
    axes = _Axes(chart)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}">',
        *axes.grid(),
    ]
    parts += _areas(chart, axes) if chart.stacked else _lines(chart, axes)
    for at, name in chart.marks:
        x = axes.x(at)
        parts.append(f'<line class="mark" x1="{x}" x2="{x}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        parts.append(f'<text class="mark" x="{x + 3}" y="{_TOP + 9}">{escape(name)}</text>')
    return "".join([*parts, "</svg>"])


def legend(chart: Chart) -> str:
    """The legend, with the greatest value of each series."""
    items = []
    for number, series in enumerate(chart.series):
        most = max((value for value in series.values if value is not None), default=0.0)
        items.append(
            f'<span class="key"><i class="fill{number % _COLOURS}"></i>{escape(series.name)} '
            f"<b>{_number(most)}</b></span>"
        )
    return "".join(items)


class _Axes:
    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._end = max(chart.times, default=1.0) or 1.0
        values = [v for s in chart.series for v in s.values if v is not None and v > 0]
        if chart.stacked and chart.series:
            rows = zip(*(series.values for series in chart.series), strict=True)
            values = [total for row in rows if (total := sum(v or 0.0 for v in row)) > 0]
        self._log = chart.scale == "log" and bool(values)
        top = max(max(values, default=1.0), _LEAST)
        if self._log:
            high = math.ceil(math.log10(top * 1.01))
            low = min(high - 1, max(math.floor(math.log10(min(values))), high - _DECADES))
            self._low, self._high = 10.0**low, 10.0**high
            self._ticks = [10.0**n for n in range(low, high + 1)]
        else:
            step = _step(top)
            self._low, self._high = 0.0, step * math.ceil(top / step)
            self._ticks = [step * n for n in range(round(self._high / step) + 1)]

    def x(self, at: float) -> float:
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * at / self._end, 1)

    def y(self, value: float) -> float:
        if self._log:
            value = max(value, self._low)
            share = math.log(value / self._low) / math.log(self._high / self._low)
        else:
            share = (value - self._low) / (self._high - self._low)
        return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * share, 1)

    def grid(self) -> list[str]:
        parts = []
        for tick in self._ticks:
            y = self.y(tick)
            parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
            )
            parts.append(
                f'<text class="tick" x="{_LEFT - 7}" y="{y + 4}" text-anchor="end">'
                f"{_number(tick)}</text>"
            )
        step = _step(self._end)
        for number in range(int(self._end / step) + 1):
            x = self.x(number * step)
            parts.append(
                f'<text class="tick" x="{x}" y="{HEIGHT - 10}" text-anchor="middle">'
                f"{_number(number * step)} s</text>"
            )
        unit = f'<text class="tick" x="2" y="{_TOP - 9}">'
        return [*parts, f"{unit}{escape(self._chart.unit)}</text>"]


def _lines(chart: Chart, axes: _Axes) -> list[str]:
    parts = []
    for number, series in enumerate(chart.series):
        path, pen = [], "M"
        for at, value in zip(chart.times, series.values, strict=True):
            if value is None:
                pen = "M"
                continue
            path.append(f"{pen}{axes.x(at)} {axes.y(value)}")
            pen = "L"
        parts.append(f'<path class="line{number % _COLOURS}" d="{"".join(path)}"/>')
    return parts


def _areas(chart: Chart, axes: _Axes) -> list[str]:
    parts = []
    below = [0.0] * len(chart.times)
    for number, series in enumerate(chart.series):
        above = [low + (value or 0.0) for low, value in zip(below, series.values, strict=True)]
        there = [f"{axes.x(t)} {axes.y(v)}" for t, v in zip(chart.times, above, strict=True)]
        back = [f"{axes.x(t)} {axes.y(v)}" for t, v in zip(chart.times, below, strict=True)]
        outline = "L".join([*there, *reversed(back)])
        parts.append(f'<path class="fill{number % _COLOURS}" d="M{outline}Z"/>')
        below = above
    return parts


def _step(top: float) -> float:
    """A round step (1, 2 or 5 times a power of ten) that divides the axis into two to five."""
    raw = top / 5
    size = 10.0 ** math.floor(math.log10(raw))
    return float(next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw))


def _number(value: float) -> str:
    if value >= 10 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"
