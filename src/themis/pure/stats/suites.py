"""Suites: one decision over several benchmarks, with three answers.

The rule of the room is that of gates: what is not known does not pass. But it does not fail either: a requirement
fails where the whole interval, whatever missing scores are, lies on the wrong side; where the interval has both, there
is not enough evidence. Decisions are combined by Kleene's logic of three values: all have to pass, and one that fails
decides, however little is known of the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

import attrs

from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.records.stopping import Operator
from themis.pure.stats.gates import RequirementGate, check_requirement
from themis.pure.stats.records import Estimate, Interval

Answer: TypeAlias = Literal["pass", "fail", "not enough evidence"]
Tier: TypeAlias = Literal["must", "should", "shown"]
"""How much a requirement counts: it has to be met; a share of such has to be; or it is shown and decides nothing."""

UNKNOWN: Final = "not enough evidence"
_OPPOSITE: Final[Mapping[Operator, Operator]] = {">=": "<", ">": "<=", "<=": ">", "<": ">="}


@attrs.frozen(kw_only=True)
class Requirement(HashableModel):
    """A condition, and what came of it.

    Attributes:
        benchmark: whose metric it is about; `None` for an average of the suite.
        condition: as it was written.
        tier, weight: how much it counts.
        answer: `pass`, `fail` or `not enough evidence`.
        reason: one sentence with the figures that decided.
    """

    benchmark: str | None = None
    condition: str
    tier: Tier = "must"
    weight: float = 1.0
    answer: Answer
    reason: str


@attrs.frozen(kw_only=True)
class SuiteDecision(HashableModel):
    """What a suite's gate says of one model, or of one row of settings.

    Attributes:
        row: which one.
        answer: `pass`, `fail` or `not enough evidence`.
        requirements: all conditions.
        should: the share, by weight, of requirements of tier `should` that has to be met.
        macro: the average of the benchmarks' means by their weights; `None` if one has no score.
        micro: the average of all cases.
    """

    row: str
    answer: Answer
    requirements: tuple[Requirement, ...] = attrs.field(default=(), converter=sequence)
    should: float = 1.0
    macro: Estimate | None = None
    micro: Estimate | None = None


def decide(gate: RequirementGate, estimates: Mapping[str, Estimate]) -> tuple[Answer, str]:
    """Say whether a requirement is met, is not, or can't be told, and why.

    It fails where its opposite passes: `check_requirement` says when that is.

    >>> from themis.pure.stats import estimate_mean
    >>> found = {"em": estimate_mean([1.0] * 80 + [0.0] * 20, metric_id="em")}
    >>> [decide(RequirementGate(metric_id="em", value=value), found)[0] for value in (0.6, 0.8, 0.95)]
    ['pass', 'not enough evidence', 'fail']
    """
    found = check_requirement(gate, estimates)
    if found.passed:
        return "pass", found.reason
    opposite = check_requirement(gate.evolve(operator=_OPPOSITE[gate.operator]), estimates)
    return ("fail", opposite.reason) if opposite.passed else (UNKNOWN, found.reason)


def all_of(answers: Sequence[Answer]) -> Answer:
    """Return what answers come to if all have to pass; of none, `pass`."""
    if "fail" in answers:
        return "fail"
    return UNKNOWN if UNKNOWN in answers else "pass"


def share_of(requirements: Sequence[Requirement], share: float) -> Answer:
    """Return what requirements come to if a share of them, by weight, has to pass; of none, `pass`.

    >>> met = Requirement(condition="a", answer="pass", reason="")
    >>> missed, unknown = met.evolve(answer="fail"), met.evolve(answer="not enough evidence")
    >>> share_of([met, met, missed], 0.6), share_of([met, missed, unknown], 0.6), share_of([met, missed, missed], 0.6)
    ('pass', 'not enough evidence', 'fail')
    """
    weights = {
        answer: math.fsum(each.weight for each in requirements if each.answer == answer)
        for answer in ("pass", UNKNOWN, "fail")
    }
    whole = math.fsum(weights.values())
    needed = share * whole * (1.0 - 1e-12)  # a share such as 2/3 of three is two
    if weights["pass"] >= needed:
        return "pass"
    return UNKNOWN if weights["pass"] + weights[UNKNOWN] >= needed else "fail"


def decide_suite(
    row: str,
    requirements: Sequence[Requirement],
    *,
    should: float = 1.0,
    macro: Estimate | None = None,
    micro: Estimate | None = None,
) -> SuiteDecision:
    """Combine requirements: each of tier `must`, and the share `should` of tier `should`, have to be met."""
    must = [each.answer for each in requirements if each.tier == "must"]
    answer = all_of([*must, share_of([each for each in requirements if each.tier == "should"], should)])
    return SuiteDecision(row=row, answer=answer, requirements=requirements, should=should, macro=macro, micro=micro)


def with_missing(macro: Estimate) -> Estimate:
    """Return a macro average with the interval that it could have, whatever the scores that are missing are.

    Each end is moved by as much as missing scores could move the mean: the interval without them is of the same width
    wherever the mean is, near enough, and the bound of the mean is exact.
    """
    low, high, mean = macro.if_missing_wrong, macro.if_missing_right, macro.mean
    if mean is None or (low == mean == high):
        return macro
    interval = macro.interval
    unknown = Interval(level=interval.level, method=interval.method, reason=interval.reason)
    if low is None or high is None or interval.low is None or interval.high is None:
        return macro.evolve(interval_if_missing=unknown)
    wider = interval.evolve(low=interval.low - (mean - low), high=interval.high + (high - mean))
    return macro.evolve(interval_if_missing=wider)
