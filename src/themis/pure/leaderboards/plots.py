"""Plots of a leaderboard as inline SVG: numbers in, markup out. Colours and fonts come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from themis.pure.leaderboards import words
from themis.pure.leaderboards.frontier import Point
from themis.pure.leaderboards.records import Cell, Column, HeatMap, Leaderboard
from themis.pure.report.markup import Markup, element
from themis.pure.report.plots import label, line, svg
from themis.pure.report.sections import short
from themis.pure.text import one_line

_LEFT: Final = 200.0
_RIGHT: Final = 508.0
_STEP: Final = 24
_LONGEST: Final = 28
_FITTING: Final = 20
"""A name of so many characters fits beside a plot in any font; a longer one is drawn narrower."""


def intervals_plot(board: Leaderboard, column: Column) -> Markup:
    """Draw each row's mean with its interval, in the order of the leaderboard; those like the best are filled."""
    names = words.short_names([row.name for row in board], _LONGEST)
    shown = [(names[row.name], row[column.name]) for row in board]
    known = [cell for _, cell in shown if cell.estimate is not None and cell.estimate.mean is not None]
    low, high = _range(known)
    place = _scale(low, high, _LEFT, _RIGHT)
    bottom = _STEP * len(shown) + 8
    spoken = "; ".join(f"{name} {_spoken(cell)}" for name, cell in shown)
    return svg(bottom + 26, f"{column.name}: {one_line(spoken)}", _intervals(shown, place, low, high, bottom))


def _row_name(height: float, name: str) -> Markup:
    if len(name) <= _FITTING:
        return label(_LEFT - 10, height, name, "end", "name")
    fitted = {"textLength": f"{_LEFT - 14:.0f}", "lengthAdjust": "spacingAndGlyphs"}
    return element("text", name, class_="name", x=f"{_LEFT - 10:.1f}", y=f"{height:.1f}", text_anchor="end", **fitted)


def _spoken(cell: Cell) -> str:
    if cell.estimate is None:
        return "missing"
    return f"{words.score(cell.estimate.mean)} {words.ends(cell.estimate.interval)}"


def _intervals(
    shown: Sequence[tuple[str, Cell]], place: Callable[[float], float], low: float, high: float, bottom: float
) -> Iterator[Markup]:
    yield from _ticks(low, high, place, 4, bottom)
    for number, (name, cell) in enumerate(shown):
        middle = _STEP * number + 16
        yield _row_name(middle + 4, name)
        estimate = cell.estimate
        if estimate is None or estimate.mean is None:
            yield label(_LEFT + 4, middle + 4, "missing", "start", "missing")
            continue
        ends = estimate.interval.low, estimate.interval.high
        if ends[0] is not None and ends[1] is not None:
            yield line(place(ends[0]), middle, place(ends[1]), middle, "bar")
            yield from (line(place(end), middle - 5, place(end), middle + 5, "bar") for end in ends if end is not None)
        kind = "mean best" if cell.is_best else "mean like" if cell.is_like_best else "mean"
        title = element("title", f"{name}: {_spoken(cell)}")
        yield element("circle", title, class_=kind, cx=f"{place(estimate.mean):.1f}", cy=f"{middle:.1f}", r="4.5")


def _range(cells: Sequence[Cell]) -> tuple[float, float]:
    estimates = [cell.estimate for cell in cells if cell.estimate is not None]
    ends = [end for each in estimates for end in (each.mean, each.interval.low, each.interval.high) if end is not None]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    margin = (high - low) * 0.06 or abs(high) * 0.1 or 0.5
    inside = low >= 0.0 and high <= 1.0
    return (max(0.0, low - margin), min(1.0, high + margin)) if inside else (low - margin, high + margin)


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    width = high - low or 1.0
    return lambda value: start + (end - start) * (value - low) / width


def _ticks(low: float, high: float, place: Callable[[float], float], top: float, bottom: float) -> Iterator[Markup]:
    yield line(place(low), bottom, place(high), bottom, "axis")
    for number, anchor in enumerate(("start", "middle", "end")):
        tick = low + (high - low) * number / 2
        yield line(place(tick), top, place(tick), bottom + 4, "grid")
        yield label(place(tick), bottom + 18, short(tick), anchor)


# --- score against cost -----------------------------------------------------------------------------------

_TOP: Final = 22.0
_FLOOR: Final = 230.0
_START: Final = 52.0
_MOST_NAMED: Final = 8
"""Of more points, those on the frontier alone are named: names would cover each other."""


def frontier_plot(column: Column, points: Sequence[Point]) -> Markup:
    """Draw means against costs, with a line through the rows that no other beats in both."""
    spoken = ", ".join(
        f"{each.row} {words.score(each.mean)} at {_dollars(each.cost)}{' (on the frontier)' if each.is_best else ''}"
        for each in points
    )
    return svg(272, f"{column.name} against cost: {one_line(spoken)}", _scatter(points))


def _scatter(points: Sequence[Point]) -> Iterator[Markup]:
    costs, means = [each.cost for each in points], [each.mean for each in points]
    is_log = min(costs) > 0.0 and max(costs) > 20.0 * min(costs)
    across: Callable[[float], float] = math.log if is_log else float
    x = _padded(_scale, [across(cost) for cost in costs], _START, _RIGHT)
    y = _padded(_scale, means, _FLOOR, _TOP)
    yield line(_START, _FLOOR, _RIGHT, _FLOOR, "axis")
    yield line(_START, _TOP, _START, _FLOOR, "axis")
    for cost, anchor in ((min(costs), "middle"), (max(costs), "middle")):
        yield label(x(across(cost)), _FLOOR + 18, _dollars(cost), anchor)
    for mean in (min(means), max(means)):
        yield label(_START - 6, y(mean) + 4, words.score(mean), "end")
    yield label((_START + _RIGHT) / 2, _FLOOR + 36, f"cost of the answers{', log scale' if is_log else ''}", "middle")
    best = [each for each in points if each.is_best]
    if len(best) > 1:
        corners = [f"{x(across(each.cost)):.1f},{y(each.mean):.1f}" for each in best]
        yield element("polyline", class_="frontier", points=" ".join(corners))
    names = words.short_names([each.row for each in points], _LONGEST)
    named = points if len(points) <= _MOST_NAMED else best[:_MOST_NAMED]
    for each in points:
        at, height = x(across(each.cost)), y(each.mean)
        kind = "mean best" if each.is_best else "mean bound" if each.is_lower_bound else "mean"
        least = "at least " if each.is_lower_bound else ""
        title = element("title", f"{each.row}: {words.score(each.mean)} at {least}{_dollars(each.cost)}")
        yield element("circle", title, class_=kind, cx=f"{at:.1f}", cy=f"{height:.1f}", r="5")
        if each in named:
            is_left = at > (_START + _RIGHT) / 2
            yield label(at, height - 9, names[each.row], "end" if is_left else "start", "name")


def _padded(
    scale: Callable[[float, float, float, float], Callable[[float], float]],
    values: Iterable[float],
    start: float,
    end: float,
) -> Callable[[float], float]:
    """Return a scale on which the ends of the values stand a little off the axes; a single value in the middle."""
    known = [*values]
    low, high = min(known), max(known)
    margin = (high - low) * 0.08 or 1.0
    return scale(low - margin, high + margin, start, end)


def _dollars(cost: float) -> str:
    return f"${cost:,.2f}" if cost >= 1 else f"${cost:.3g}"


# --- the heat map -----------------------------------------------------------------------------------------


def heat_plot(heat: HeatMap) -> Markup:
    """Draw the rows' mean score on each band of cases, the hardest at the left: the darker, the higher."""
    bottom = _STEP * len(heat.rows) + 6
    what = f"{heat.column}: mean scores on {heat.cases:,} cases, the hardest for all at the left, by row"
    return svg(bottom + 22, what, _bands(heat, bottom))


def _bands(heat: HeatMap, bottom: float) -> Iterator[Markup]:
    width, names = heat.high - heat.low or 1.0, words.short_names(heat.rows, _LONGEST)
    for number, (name, bands) in enumerate(zip(heat.rows, heat.bands, strict=True)):
        top = _STEP * number + 4
        yield _row_name(top + 15, names[name])
        step = (_RIGHT - _LEFT) / max(1, len(bands))
        for place, value in enumerate(bands):
            if value is None:
                continue
            strength = min(1.0, max(0.0, (value - heat.low) / width))
            yield element(
                "rect",
                element("title", f"{name}, band {place + 1} of {len(bands)}: {words.score(value)}"),
                class_="heat",
                x=f"{_LEFT + step * place:.1f}",
                y=f"{top}",
                width=f"{step + 0.3:.1f}",
                height=f"{_STEP - 3}",
                fill_opacity=f"{strength:.2f}",
            )
    yield label(_LEFT, bottom + 14, "hardest cases", "start")
    yield label(_RIGHT, bottom + 14, "easiest", "end")
