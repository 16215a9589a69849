"""Plots as inline SVG: numbers in, markup out.

Colours and fonts come from the page's style sheet, by class, so that plots follow light and dark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from themis.pure.report.markup import Markup, element, joined
from themis.pure.report.sections import ErrorBar, Histogram, Plot, Shares, short
from themis.pure.stats import Estimate

_WIDTH: Final = 520
_LEFT: Final = 8
_RIGHT: Final = _WIDTH - 8


def draw(plot: Plot) -> Markup:
    """Return a plot as markup."""
    if isinstance(plot, ErrorBar):
        return svg(64, plot.label, _error_bar(plot.estimate))
    if isinstance(plot, Shares):
        items = [element("li", element("b", f"{n:,}"), f" {name}", class_=name) for name, n in plot.counts.items()]
        return joined(svg(20, plot.label, _shares(plot)), element("ul", *items, class_="legend"))
    return svg(114, plot.label, _histogram(plot))


def svg(height: int, label: str, parts: Iterable[Markup]) -> Markup:
    box = f"0 0 {_WIDTH} {height}"
    return element("svg", *parts, viewBox=box, role="img", aria_label=label, preserveAspectRatio="xMidYMid meet")


def _error_bar(estimate: Estimate) -> Iterable[Markup]:
    low, high = _range(estimate)
    place = _scale(low, high)
    yield _axis(low, high, place)
    if estimate.missing and estimate.if_missing_wrong is not None and estimate.if_missing_right is not None:
        start, end = place(estimate.if_missing_wrong), place(estimate.if_missing_right)
        yield rect(start, 8, max(1.0, end - start), 24, "band")
    interval = estimate.interval
    if interval.low is not None and interval.high is not None:
        start, end = place(interval.low), place(interval.high)
        yield line(start, 20, end, 20, "bar")
        yield from (line(x, 13, x, 27, "bar") for x in (start, end))
    if estimate.mean is not None:
        yield element("circle", class_="mean", cx=f"{place(estimate.mean):.1f}", cy="20", r="5.5")


def _shares(plot: Shares) -> Iterable[Markup]:
    total, at = sum(plot.counts.values()), float(_LEFT)
    for name, count in plot.counts.items():
        width = (_RIGHT - _LEFT) * count / total if total else 0.0
        if width:
            yield rect(at, 2, max(1.0, width - 1.5), 16, name)
        at += width


def _histogram(plot: Histogram) -> Iterable[Markup]:
    """Draw counts; values that were counted one by one get a bar each, evenly spaced and labelled."""
    bins, top = plot.bins, max(each.count for each in plot.bins)
    single = all(each.low == each.high for each in bins)
    step = (_RIGHT - _LEFT) / len(bins)
    width = min(64.0, step * 0.72) if single else max(1.0, step - 1.5)
    yield line(_LEFT, 92, _RIGHT, 92, "axis")
    for place, each in enumerate(bins):
        middle = _LEFT + step * (place + 0.5)
        height = 72 * each.count / top
        if each.count:
            yield rect(middle - width / 2, 92 - max(1.5, height), width, max(1.5, height), "count")
            if single:
                yield label(middle, 88 - height, f"{each.count:,}", "middle", "value")
        if single:
            yield label(middle, 108, short(each.low), "middle")
    if not single:
        for place in (0, len(bins) // 4, len(bins) // 2, 3 * len(bins) // 4):
            yield label(_LEFT + step * place, 108, short(bins[place].low), "middle" if place else "start")
        yield label(_RIGHT, 108, short(bins[-1].high), "end")
        yield label(_RIGHT, 12, f"highest bar {top:,}{', log scale' if plot.log_scale else ''}", "end", "value")


def _range(estimate: Estimate) -> tuple[float, float]:
    ends = (estimate.interval.low, estimate.interval.high, estimate.if_missing_wrong, estimate.if_missing_right)
    known = [value for value in (estimate.mean, *ends) if value is not None]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if low >= 0.0 and high <= 1.0:
        return 0.0, 1.0
    margin = (high - low) * 0.1 or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def _scale(low: float, high: float) -> Callable[[float], float]:
    return lambda value: _LEFT + (_RIGHT - _LEFT) * min(1.0, max(0.0, (value - low) / (high - low)))


def _axis(low: float, high: float, place: Callable[[float], float]) -> Markup:
    parts = [line(_LEFT, 44, _RIGHT, 44, "axis")]
    for number, anchor in enumerate(("start", "middle", "middle", "middle", "end")):
        tick = low + (high - low) * number / 4
        parts += [line(place(tick), 44, place(tick), 48, "axis"), label(place(tick), 61, short(tick), anchor)]
    return joined(*parts)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return element("line", class_=kind, x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}")


def rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    size = {"width": f"{width:.1f}", "height": f"{height:.1f}"}
    return element("rect", class_=kind, x=f"{x:.1f}", y=f"{y:.1f}", **size, rx="2")


def label(x: float, y: float, text: str, anchor: str, kind: str = "label") -> Markup:
    return element("text", text, class_=kind, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)
