"""Figures out of the details of scores: the numbers and booleans that stand there, by their paths.

A row that lacks a path which another row of its metric has is missing for it, and the reason says so.
"""

from __future__ import annotations

import difflib
import math
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

import attrs

from themis.pure.errors import StatisticsError
from themis.pure.json import JSONValue
from themis.pure.stats.estimates import UNBOUNDED

NO_DETAIL: Final = "no_such_detail"
"""Why a row is missing that has a score, and details without the path."""

_MOST_PATHS: Final = 1000
_PATHS_SHOWN: Final = 40


class DetailedRow(Protocol):
    """What is needed of a row of a run's score table; `BenchmarkScoreRow` has it."""

    @property
    def metric_id(self) -> str:
        """The metric that gave the score."""

    @property
    def error_category(self) -> str | None:
        """Why there is no score."""

    @property
    def details(self) -> Mapping[str, JSONValue]:
        """What the metric says beside the score."""


@attrs.frozen(kw_only=True)
class Figure:
    """A column to estimate: a value for each row of a metric, `None` where it is missing.

    Attributes:
        name: the metric, for its scores; and for a detail of them `METRIC:PATH`.
        metric_id: the metric whose rows these are.
        values: one for each row.
        categories: for each row why it is missing, if it is; of a score that is there, why its answer was unparsed.
        score_range: the lowest and the highest value, for the bounds; (0, 1) if all values lie there.
    """

    name: str
    metric_id: str
    values: Sequence[float | None]
    categories: Sequence[str | None]
    score_range: tuple[float, float] | None = None


@attrs.define
class _Column:
    values: array[float] = attrs.field(factory=lambda: array("d"))  # NaN where there is none
    is_truth: bool = True

    def put(self, place: int, value: float) -> None:
        self.values.extend([math.nan] * (place - len(self.values)))
        self.values.append(value)
        self.is_truth = self.is_truth and isinstance(value, bool)


class Details:
    """Takes score rows, one by one, and keeps the numbers and booleans in their details at a path or below it.

    Args:
        path: keys, and places in lists from 0 on, with dots between, such as `fields` or `fields.name`.

    >>> from themis.pure.records.results import BenchmarkScoreRow
    >>> details = Details("fields")
    >>> for name, found in (("a", {"fields": {"city": True}}), ("b", {})):
    ...     details.add(BenchmarkScoreRow(case_id=name, dataset_id="d", case_key=name, metric_id="m", outcome="correct",
    ...                                   value=1.0, details=found))
    >>> [(figure.name, figure.values, figure.categories[1]) for figure in details.figures()]
    [('m:fields.city', [1.0, None], 'no_such_detail')]
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._columns: dict[tuple[str, str], _Column] = {}
        self._categories: defaultdict[str, list[str | None]] = defaultdict(list)
        self._others: dict[str, None] = {}

    def add(self, row: DetailedRow) -> None:
        categories = self._categories[row.metric_id]
        for path, value in _numbers(row.details):
            if path == self._path or path.startswith(f"{self._path}."):
                self._columns.setdefault((row.metric_id, path), _Column()).put(len(categories), value)
            elif len(self._others) < _MOST_PATHS:
                self._others[path] = None
        categories.append(row.error_category)

    def figures(self) -> list[Figure]:
        """Return a figure for each metric and path, in the order of their names.

        Raises:
            StatisticsError: no row has the path; names those there are, the nearest first.
        """
        if not self._columns:
            raise StatisticsError(self._missing())
        return [self._figure(*key) for key in sorted(self._columns)]

    def _figure(self, metric_id: str, path: str) -> Figure:
        column, categories = self._columns[metric_id, path], self._categories[metric_id]
        found = [None if math.isnan(value) else value for value in column.values]
        values = [*found, *[None] * (len(categories) - len(found))]
        return Figure(
            name=f"{metric_id}:{path}",
            metric_id=metric_id,
            values=values,
            categories=[
                why or NO_DETAIL if value is None else None for value, why in zip(values, categories, strict=True)
            ],
            score_range=None if column.is_truth else UNBOUNDED,
        )

    def _missing(self) -> str:
        near = sorted(self._others, key=lambda path: (-_likeness(path, self._path), path))
        more = f" and {len(near) - _PATHS_SHOWN} more" if len(near) > _PATHS_SHOWN else ""
        known = f"there are {', '.join(near[:_PATHS_SHOWN])}{more}" if near else "no score's details have one"
        return f"details: no score has a number or a boolean at {self._path!r}; {known}"


def _numbers(value: JSONValue, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield each number and boolean within a value with its path."""
    if isinstance(value, bool | int | float):
        if math.isfinite(number := _as_float(value)):
            yield path, value if isinstance(value, bool) else number
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _numbers(item, f"{path}.{name}" if path else name)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for place, item in enumerate(value):
            yield from _numbers(item, f"{path}.{place}" if path else str(place))


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer that no float can hold is no figure
        return math.inf


def _likeness(path: str, other: str) -> float:
    return difflib.SequenceMatcher(None, path, other).ratio()
