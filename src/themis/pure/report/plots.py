"""Plots as inline SVG: error bars, outcome bars, histograms. Numbers in, markup out; every text is escaped.

Colours and fonts come from the page's style sheet, by class, so that plots follow light and dark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Final

from themis.pure.report.overview import Bin
from themis.pure.stats import Estimate

WIDTH: Final = 520
_LEFT: Final = 8
_RIGHT: Final = WIDTH - 8
OUTCOMES: Final = ("correct", "incorrect", "error")


def svg(height: int, label: str, parts: Sequence[str]) -> str:
    """Return a drawing with a description for who can't see it."""
    body = "".join(parts)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}" '
        f'preserveAspectRatio="xMidYMid meet">{body}</svg>'
    )


def error_bar(estimate: Estimate, label: str) -> str:
    """Draw a mean with its interval, and a pale band where missing scores could move it."""
    low, high = _range(estimate)
    place = _scale(low, high)
    parts = [_axis(low, high, 44)]
    if estimate.missing and estimate.if_missing_wrong is not None and estimate.if_missing_right is not None:
        start, end = place(estimate.if_missing_wrong), place(estimate.if_missing_right)
        parts.append(_rect(start, 8, max(1.0, end - start), 24, "band"))
    interval = estimate.interval
    if interval.low is not None and interval.high is not None:
        start, end = place(interval.low), place(interval.high)
        parts.append(_line(start, 20, end, 20, "bar"))
        parts += [_line(x, 13, x, 27, "bar") for x in (start, end)]
    if estimate.mean is not None:
        parts.append(f'<circle class="mean" cx="{place(estimate.mean):.1f}" cy="20" r="5.5"/>')
    return svg(64, label, parts)


def outcome_bar(outcomes: Mapping[str, int], label: str) -> str:
    """Draw the shares of correct, incorrect and error, with a gap between them."""
    total = sum(outcomes.values())
    parts, at = [], float(_LEFT)
    for name in OUTCOMES:
        width = (_RIGHT - _LEFT) * outcomes.get(name, 0) / total if total else 0.0
        if width:
            parts.append(_rect(at, 2, max(1.0, width - 1.5), 16, name))
        at += width
    return svg(20, label, parts)


def histogram_bars(bins: Sequence[Bin], label: str, *, log_scale: bool = False) -> str:
    """Draw counts; values that were counted one by one get a bar each, evenly spaced and labelled."""
    if not bins:
        return ""
    top = max(each.count for each in bins)
    single = all(each.low == each.high for each in bins)
    step = (_RIGHT - _LEFT) / len(bins)
    width = min(64.0, step * 0.72) if single else max(1.0, step - 1.5)
    parts = [_line(_LEFT, 92, _RIGHT, 92, "axis")]
    for number, each in enumerate(bins):
        middle = _LEFT + step * (number + 0.5)
        height = 72 * each.count / top
        if each.count:
            parts.append(_rect(middle - width / 2, 92 - max(1.5, height), width, max(1.5, height), "count"))
            if single:
                parts.append(_text(middle, 88 - height, f"{each.count:,}", "middle", "value"))
        if single:
            parts.append(_text(middle, 108, short(each.low), "middle"))
    if not single:
        ends = [0, len(bins) // 4, len(bins) // 2, 3 * len(bins) // 4]
        parts += [
            _text(_LEFT + step * number, 108, short(bins[number].low), "middle" if number else "start")
            for number in ends
        ]
        parts.append(_text(_RIGHT, 108, short(bins[-1].high), "end"))
        note = f"highest bar {top:,}" + (", log scale" if log_scale else "")
        parts.append(_text(_RIGHT, 12, note, "end", "value"))
    return svg(114, label, parts)


def short(value: float) -> str:
    """Write a number for an axis.

    >>> short(0.5), short(1250.0), short(3400000.0)
    ('0.5', '1,250', '3.4e+06')
    """
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def _range(estimate: Estimate) -> tuple[float, float]:
    known = [
        value
        for value in (
            estimate.mean,
            estimate.interval.low,
            estimate.interval.high,
            estimate.if_missing_wrong,
            estimate.if_missing_right,
        )
        if value is not None
    ]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if low >= 0.0 and high <= 1.0:
        return 0.0, 1.0
    margin = (high - low) * 0.1 or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def _scale(low: float, high: float) -> Callable[[float], float]:
    return lambda value: _LEFT + (_RIGHT - _LEFT) * min(1.0, max(0.0, (value - low) / (high - low)))


def _axis(low: float, high: float, y: int) -> str:
    place = _scale(low, high)
    ticks = [low + (high - low) * i / 4 for i in range(5)]
    anchors = ("start", "middle", "middle", "middle", "end")
    parts = [_line(_LEFT, y, _RIGHT, y, "axis")]
    for tick, anchor in zip(ticks, anchors, strict=True):
        parts += [_line(place(tick), y, place(tick), y + 4, "axis"), _text(place(tick), y + 17, short(tick), anchor)]
    return "".join(parts)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2"/>'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "label") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
