"""How a seal writes scores, and what it states of them.

A score takes a byte where it is 0, 1, missing, or that of an answer which could not be parsed, and else the eight bytes
of its double. A double's first byte is at most 0x54, or 0xD4 with a sign, for no score exceeds 1e100 in size; so a
byte from 0xE0 up is none of a double's, and no score needs more than eight bytes.
"""

from __future__ import annotations

import struct
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

import attrs

from themis.pure.errors import DataError
from themis.pure.plan import MetricSlot
from themis.pure.projections import UNPARSED
from themis.pure.records.fields import LARGEST_NUMBER
from themis.pure.records.results import BenchmarkScoreRow, ErrorCategory
from themis.pure.seals.records import SealedMetric
from themis.pure.stats import estimate_mean

Take = Callable[[int], bytes]
"""Gives the next so many bytes of a file, or raises a `DataError`."""

_ZERO, _ONE, _UNPARSED, _MISSING = 0xE0, 0xE1, 0xE8, 0xF0

REASONS: Final[tuple[ErrorCategory, ...]] = (
    "parse_failure",
    "parse_null",
    "parse_invalid",
    "generation_failure",
    "reduction_failure",
    "evaluation_failure",
    "evaluation_partial_failure",
    "score_failure",
    "not_reached",
)
"""Part of the format: the order is for good, and new reasons come last. Those of `UNPARSED` come first."""


class SealedScore(NamedTuple):
    """A score, and why it is missing, or why its answer could not be parsed."""

    value: float | None
    reason: ErrorCategory | None


def score_bytes(value: float | None, reason: ErrorCategory | None) -> bytes:
    if reason is not None:
        return bytes([(_MISSING if value is None else _UNPARSED) + REASONS.index(reason)])
    if value in (0.0, 1.0):
        return bytes([_ONE if value else _ZERO])
    return struct.pack(">d", value)


def read_score(take: Take, unparsed_score: float | None) -> tuple[bytes, SealedScore]:
    """Read a score; return it with the bytes that it is written in.

    Raises:
        DataError: no score is written so.
    """
    first = take(1)
    code = first[0]
    if code in (_ZERO, _ONE):
        return first, SealedScore(float(code - _ZERO), None)
    if _MISSING <= code < _MISSING + len(REASONS):
        return first, SealedScore(None, REASONS[code - _MISSING])
    if _UNPARSED <= code < _UNPARSED + len(UNPARSED) and unparsed_score is not None:
        return first, SealedScore(unparsed_score, REASONS[code - _UNPARSED])
    if code >= _ZERO:
        raise DataError(f"no score begins with the byte {code}")
    written = first + take(7)
    (value,) = struct.unpack(">d", written)
    if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER or value in (0.0, 1.0):
        raise DataError(f"no score is written as the bytes {written.hex()}")
    return written, SealedScore(value, None)


def scores_of(rows: Iterable[BenchmarkScoreRow]) -> Iterator[SealedScore]:
    """Yield a case's scores; minus zero is zero."""
    for row in rows:
        yield SealedScore(None if row.value is None else row.value + 0.0, row.error_category)


@attrs.define
class _Column:
    values: array[float] = attrs.field(factory=lambda: array("d"))
    reasons: dict[int, ErrorCategory] = attrs.field(factory=dict)
    """Of the scores that have one, by their place."""
    missing: set[int] = attrs.field(factory=set)

    def add(self, score: SealedScore) -> None:
        place = len(self.values)
        self.values.append(0.0 if score.value is None else score.value)
        if score.reason is not None:
            self.reasons[place] = score.reason
        if score.value is None:
            self.missing.add(place)

    def found(self, metric: SealedMetric) -> SealedMetric:
        """Return what is to be said of a metric with these scores, by the function that its report uses."""
        estimate = estimate_mean(
            [None if place in self.missing else value for place, value in enumerate(self.values)],
            metric_id=metric.metric_id,
            categories=[self.reasons.get(place) for place in range(len(self.values))],
            score_range=metric.score_range,
        )
        unparsed = Counter(reason for place, reason in self.reasons.items() if place not in self.missing)
        return metric.evolve(
            planned=estimate.planned,
            scored=estimate.scored,
            mean=estimate.mean,
            missing=dict(estimate.missing_by_category),
            unparsed=dict(unparsed),
            if_missing_wrong=estimate.if_missing_wrong,
            if_missing_right=estimate.if_missing_right,
        )


class Columns:
    """Takes the scores of one case after another, and says what is to be stated of each metric."""

    def __init__(self, metrics: Iterable[SealedMetric]) -> None:
        self._metrics = tuple(metrics)
        self._columns = {metric.metric_id: _Column() for metric in self._metrics}
        self._order = [self._columns[metric.metric_id] for metric in self._metrics for _ in range(metric.answers)]

    def add(self, scores: Iterable[SealedScore]) -> None:
        """Take a case's scores, in the order of the metrics."""
        for column, score in zip(self._order, scores, strict=True):
            column.add(score)

    def found(self) -> tuple[SealedMetric, ...]:
        """Return what is to be stated.

        Raises:
            StatisticsError: a score lies outside its metric's range.
        """
        return tuple(self._columns[metric.metric_id].found(metric) for metric in self._metrics)


def unscored(slot: MetricSlot, answers: int) -> SealedMetric:
    """Return what a seal says of a metric before there is a score."""
    return SealedMetric(
        metric_id=slot.metric_id,
        answers=answers,
        planned=0,
        scored=0,
        unparsed_score=slot.unparsed,
        score_range=slot.score_range,
    )
