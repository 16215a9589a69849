"""Why the means of two runs differ: the share of each factor, the cases behind it, and what is not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import attrs

from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import json_value, named_fields, sequence, texts

HowKnown: TypeAlias = Literal["recomputed", "stored answers", "needs new calls", "not at hand"]
"""How a share is known: computed again from what is stored, or read off what both runs stored. Of factors that can't be
told apart it says what would be needed for that: new calls, or a component that is not at hand."""


@attrs.frozen(kw_only=True)
class NewCalls(HashableModel):
    """Calls that would tell what stored answers can't.

    Attributes:
        calls: how many.
        cost: US dollars, by what such calls took in these runs; `None` if that, or a price, is not known.
        why: what they would tell, and which calls they are.
    """

    calls: int
    cost: float | None = None
    why: str


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class CaseShare(HashableModel):
    """A case behind a factor's share. What only the first or the second run has is `None` in the other.

    Attributes:
        case_a, case_b: its keys in the two runs.
        share: its part of the factor's share, in score units.
        score_a, score_b: the mean of its scores in each run.
        error_a, error_b: why it has none, or why its answer could not be parsed.
    """

    case_a: str | None
    case_b: str | None
    share: float
    score_a: float | None = None
    score_b: float | None = None
    input: JSONValue = attrs.field(default=None, converter=json_value)
    expected_a: JSONValue = attrs.field(default=None, converter=json_value)
    expected_b: JSONValue = attrs.field(default=None, converter=json_value)
    answer_a: JSONValue = attrs.field(default=None, converter=json_value)
    answer_b: JSONValue = attrs.field(default=None, converter=json_value)
    parsed_a: JSONValue = attrs.field(default=None, converter=json_value)
    parsed_b: JSONValue = attrs.field(default=None, converter=json_value)
    error_a: str | None = None
    error_b: str | None = None


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class FactorShare(HashableModel):
    """What one factor did to the difference.

    Attributes:
        factor: its name, such as `parser`; several that can't be told apart are joined by `+`.
        title: what that is, in words.
        before, after: what it is in the first and in the second run.
        share: its Shapley value, in score units.
        raised, lowered: how many cases raise and lower the second run's mean by it.
        known: how it is known.
        notes: what else is to be said of it.
        new_calls: what only new calls could tell of it.
        cases: those that it changed most, first those with the largest part.
    """

    factor: str
    title: str
    before: str
    after: str
    share: float
    raised: int = 0
    lowered: int = 0
    known: HowKnown
    notes: tuple[str, ...] = attrs.field(default=(), converter=texts)
    new_calls: NewCalls | None = None
    cases: tuple[CaseShare, ...] = attrs.field(default=(), converter=sequence)

    @property
    def points(self) -> float:
        """The share in percentage points, for scores from 0 to 1."""
        return 100 * self.share


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class DifferenceExplanation(HashableModel):
    """Why two runs' means of a metric differ: the difference, attributed to each factor that differs between them.

    Attributes:
        run_a, run_b: the runs' ids; `label_a` and `label_b` are what they are called.
        metric_a, metric_b: the metric in each run.
        mean_a, mean_b: its means, as a report has them.
        scored_a, scored_b: of how many scores they are.
        shared_cases: how many cases both runs have.
        factors: what differs, by the size of its share; the shares sum to `difference`.
        combinations: how many combinations of factors there are.
        is_exact: all of them were gone through; with very many factors orders were drawn.
        score_range: the lowest and highest score of the metric, if both runs state the same.
        notes: what could not be looked at, and why.
    """

    run_a: str
    run_b: str
    label_a: str
    label_b: str
    metric_a: str
    metric_b: str
    mean_a: float
    mean_b: float
    scored_a: int
    scored_b: int
    shared_cases: int
    factors: tuple[FactorShare, ...] = attrs.field(default=(), converter=sequence)
    combinations: int = 1
    is_exact: bool = True
    score_range: tuple[float, float] | None = attrs.field(default=None, converter=attrs.converters.optional(sequence))
    notes: tuple[str, ...] = attrs.field(default=(), converter=texts)

    @property
    def difference(self) -> float:
        """The second mean minus the first."""
        return self.mean_b - self.mean_a

    @property
    def shares(self) -> Mapping[str, float]:
        """The share of each factor, in score units."""
        return {each.factor: each.share for each in self.factors} or EMPTY

    @property
    def in_points(self) -> bool:
        """Whether scores lie between 0 and 1, so that shares can be told in percentage points."""
        return self.score_range is not None and self.score_range[0] >= 0 and self.score_range[1] <= 1
