"""The scores of a judged metric's dimensions, over a run: a few numbers for each answer, never its texts."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from themis.pure.json import JSONValue
from themis.pure.judged_calls import dimension_scores
from themis.pure.records.base import HashableModel
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.stats import Estimate

_STATED: Final = ("dimensions", "tags")
"""Where a score's details state its dimensions, each with a number; rubrics that are a case's own have tags."""


@attrs.frozen(kw_only=True)
class Dimension(HashableModel):
    """One dimension of a judged metric, and its mean."""

    metric_id: str
    name: str
    estimate: Estimate


@attrs.define
class DimensionScores:
    """Takes one metric's rows; NaN stands for a score that is missing, and nothing outside this module sees it."""

    _values: dict[str, array[float]] = attrs.field(factory=dict, init=False)
    _cases: dict[str, array[int]] = attrs.field(factory=dict, init=False)
    _without: list[tuple[float, int]] = attrs.field(factory=list, init=False)

    def add(self, case: int, row: BenchmarkScoreRow, execution: EvaluationExecution | None) -> None:
        """Take a row of a case, with the workflow that it comes from.

        An answer without a verdict counts in each dimension for what it counts in the metric: a missing score, or the
        worst one. Nothing is better for want of an answer.
        """
        if row.error_category is not None:
            self._without.append((math.nan if row.value is None else row.value, case))
            return
        for name, value in _dimensions(row.details, execution).items():
            self._values.setdefault(name, array("d")).append(value)
            self._cases.setdefault(name, array("q")).append(case)

    def columns(self) -> Iterator[tuple[str, list[float | None], list[int]]]:
        """Yield each dimension with its scores and the case of each; nothing unless there are several."""
        if len(self._values) < 2:
            return
        for name, values in self._values.items():
            every = [*values, *(value for value, _ in self._without)]
            cases = [*self._cases[name], *(case for _, case in self._without)]
            yield name, [None if math.isnan(value) else value for value in every], cases


def _dimensions(details: Mapping[str, JSONValue], execution: EvaluationExecution | None) -> Mapping[str, float]:
    """Return what a score's details say of its dimensions, or else what the judges were asked about and said."""
    for key in _STATED:
        stated = details.get(key)
        if isinstance(stated, Mapping):
            return {
                name: float(value)
                for name, value in stated.items()
                if isinstance(value, int | float) and not isinstance(value, bool)
            }
    return {} if execution is None else dimension_scores(execution)
