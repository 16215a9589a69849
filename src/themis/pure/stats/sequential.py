"""Sequential tests: whether a mean reaches a value, decided at the first look at which that is clear.

The rule of the room: however often one looks, what was decided is wrong in at most `alpha` of runs, and no completion
of missing scores overturns it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import Literal, TypeAlias

import attrs

from themis.pure.records.base import HashableModel
from themis.pure.records.stopping import Operator
from themis.pure.stats.arguments import (
    Alpha,
    OneOrMore,
    Score,
    ScoreRange,
    checked_arguments,
    refuse_unless,
    same_length,
)
from themis.pure.stats.betting import Wealth
from themis.pure.stats.records import DEFAULT_ALPHA, Interval
from themis.pure.stats.sequence_units import Unit, bounds_of, scaled, units_of
from themis.pure.stats.sequences import interval_of

Decision: TypeAlias = Literal["passes", "fails", "undecided"]


@attrs.frozen(kw_only=True)
class SequentialTest(HashableModel):
    """Whether a mean was shown to reach a value, or not to, and when.

    Attributes:
        operator: how the mean is to lie to the value.
        value: in the unit of the scores.
        alpha: the chance to pass what is not so, and to fail what is, each at most half of it.
        every: how many values come between two looks.
        decision: what was shown, at the first look at which something was; `undecided` if nothing was.
        values: how many values had come by then; all of them if undecided.
        planned: how many there are, or were to come.
        interval: that of the true mean at the stop; it lies at one side of the value exactly if that was decided.
    """

    operator: Operator
    value: float
    alpha: float = DEFAULT_ALPHA
    every: int
    decision: Decision
    values: int
    planned: int
    interval: Interval


class Evidence:
    """Whether a mean is shown to reach a value, or not to, unit by unit.

    It bets on both, against half of `alpha` each. What was decided stays: no completion of missing scores overturns it.

    Args:
        operator: how the mean is to lie to the value. As no sample can tell `>` from `>=`, they are decided alike.
        value: strictly within the score range.
        score_range: lowest and highest possible score.
        alpha: the chance to pass what is not so, and to fail what is, each at most half of it, however often one looks.
        total: the weight of the whole set, if it is finite and drawn without replacement.
    """

    def __init__(
        self,
        operator: Operator,
        value: float,
        score_range: tuple[float, float],
        alpha: float,
        total: float | None = None,
    ) -> None:
        self._upward = operator.startswith(">")
        self._value = value
        self._range = score_range
        self._alpha = alpha
        self._total = total
        place = scaled(value, score_range)[0]
        self._above = Wealth(place, total)
        self._below = Wealth(1.0 - place, total)
        self._units: list[Unit] = []

    def add(self, unit: Unit) -> None:
        """Take the next unit."""
        self._above.add(unit.low, unit.weight)
        self._below.add(1.0 - unit.high, unit.weight)
        self._units.append(unit)

    def decision(self) -> Decision:
        """What is shown by now."""
        wanted = math.log(2.0 / self._alpha)
        if self._above.reaches(wanted):
            return "passes" if self._upward else "fails"
        if self._below.reaches(wanted):
            return "fails" if self._upward else "passes"
        return "undecided"

    def interval(self) -> Interval:
        """Return the interval of the mean by now, which lies at one side of the value exactly if that is decided."""
        found = interval_of(self._units, self._range, 1.0 - self._alpha, total=self._total)
        if found.low is None or found.high is None or self.decision() == "undecided":
            return found
        # Both say the same up to rounding, which must not show.
        if (self.decision() == "passes") == self._upward:
            return found.evolve(low=max(found.low, self._value))
        return found.evolve(high=min(found.high, self._value))


def run_test(
    units: Iterable[tuple[Unit, int]],
    evidence: Evidence,
    every: int,
) -> tuple[Decision, int]:
    """Return what was decided first, and after how many values; one looks at the first end of a unit past each `every`.

    Args:
        units: each with the number of values in it.
        evidence: what they are added to.
        every: how many values come between two looks; the last one sees all.
    """
    seen = looked = 0
    for unit, count in units:
        evidence.add(unit)
        seen += count
        if seen - looked >= every:
            looked = seen
            if (decision := evidence.decision()) != "undecided":
                return decision, seen
    return evidence.decision(), seen


@checked_arguments
def sequential_test(
    values: Sequence[Score],
    operator: Operator,
    value: float,
    *,
    every: OneOrMore = 1,
    alpha: Alpha = DEFAULT_ALPHA,
    score_range: ScoreRange = (0.0, 1.0),
    clusters: Sequence[Hashable] | None = None,
    largest_cluster: OneOrMore | None = None,
    population: OneOrMore | None = None,
) -> SequentialTest:
    """Tell whether a mean reaches a value, looking again and again, and when that was clear.

    However often one looks, the chance to pass a mean that does not reach the value is at most half of `alpha`, and so
    is that to fail one that does: what decides is the interval of `anytime_interval` at the level 1 - `alpha`, as a
    whole, as in a gate. Missing scores count as the worst for passing and as the best for failing.

    Args:
        values: scores in the order in which they came, `None` for one that is missing.
        operator: how the mean is to lie to the value; `>` and `>=` are decided alike, as no sample tells them apart.
        value: strictly within the score range.
        every: how many values come between two looks.
        alpha: the error rate, of both sides together.
        score_range: lowest and highest possible score; for differences of paired scores minus and plus their width.
        clusters: one key per value; one looks at ends of clusters.
        largest_cluster: how many values a cluster may hold.
        population: how many values there are in all, if they are drawn from a finite set.

    >>> found = sequential_test([1.0] * 19 + [0.0] + [1.0] * 200, ">=", 0.8, every=20)
    >>> found.decision, found.values, round(found.interval.low, 3)
    ('passes', 60, 0.809)
    """
    where = "sequential_test"
    same_length(where, values=values, clusters=clusters)
    low, high = score_range
    bounds = bounds_of(where, values, score_range)
    refuse_unless(low < value < high, where, "value", value, f"a number between {low:g} and {high:g}, the score_range")
    units, sizes, total = units_of(where, bounds, clusters, largest_cluster, population)
    evidence = Evidence(operator, value, score_range, alpha, total)
    decision, seen = run_test(zip(units, sizes, strict=True), evidence, every)
    return SequentialTest(
        operator=operator,
        value=value,
        alpha=alpha,
        every=every,
        decision=decision,
        values=seen,
        planned=max(len(values), population or 0),
        interval=evidence.interval(),
    )
