"""The results of statistics as immutable records.

The rule of the room: a figure that is not defined is `None`, and the reason is given in `reason` or
under the field's name in `undefined`; never 0, never NaN.
"""

from __future__ import annotations

from typing import Final

import attrs

from themis.pure.json import EMPTY, FrozenDict, freeze_mapping
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence

DEFAULT_LEVEL: Final = 0.95
DEFAULT_ALPHA: Final = 0.05
DEFAULT_POWER: Final = 0.8


@attrs.frozen(kw_only=True)
class Interval(HashableModel):
    """A confidence interval and how it was made.

    Attributes:
        low: lower end, in the unit of the estimate; `None` if not defined.
        high: upper end; `None` if not defined.
        level: nominal coverage, between 0 and 1.
        method: the method's name, as a paper would name it.
        reason: why the ends are not defined; `None` if they are.

    >>> Interval(low=0.2, high=0.6, method="Wilson").contains(0.5)
    True
    """

    low: float | None = None
    high: float | None = None
    level: float = DEFAULT_LEVEL
    method: str
    reason: str | None = None

    @property
    def defined(self) -> bool:
        """Whether both ends are known."""
        return self.low is not None and self.high is not None

    def contains(self, value: float) -> bool:
        """Whether `value` lies within the ends; `False` if they are not defined."""
        return self.low is not None and self.high is not None and self.low <= value <= self.high


@attrs.frozen(kw_only=True)
class Estimate(HashableModel):
    """One metric's mean with its uncertainty and with everything that was left out of it.

    Attributes:
        metric_id: the metric.
        unit: what is counted: `row`, or `problem` for pass@k.
        planned: units that should have been scored.
        scored: units that have a score: the denominator of `mean`.
        missing: planned minus scored.
        missing_by_category: how many are missing for which error category.
        binary: whether every score is 0 or 1.
        mean: mean over the scored units.
        standard_error: of the mean; cluster-robust if `clusters` is set.
        degrees_of_freedom: of the t quantile in the interval: units less one, or with clusters Bell and McCaffrey's, or
            with CR1 clusters less one; `None` where none is used.
        interval: confidence interval of the mean, with its method named.
        if_missing_wrong: the mean if every missing unit had the lowest score.
        if_missing_right: the mean if every missing unit had the highest score.
        interval_if_missing: the lowest lower and the highest upper end that the interval could have, whatever the
            missing scores are; `None` if nothing is missing.
        unparsed: how many scored units have the lowest score because their answer could not be parsed.
        parsed_mean: the mean without these; `None` if no unit is left.
        clusters: how many clusters the standard error rests on; `None` if units count as independent.
        effective_size: the number of independent units that would be as precise.
        naive_standard_error: the standard error if units were independent.
        naive_interval: the interval if units were independent.
        undefined: for each figure that is `None`, the reason, by field name.
        warnings: what a reader should know before trusting the interval.
    """

    metric_id: str
    unit: str = "row"
    planned: int
    scored: int
    missing: int
    missing_by_category: FrozenDict = attrs.field(default=EMPTY, converter=freeze_mapping)
    binary: bool = False
    mean: float | None = None
    standard_error: float | None = None
    degrees_of_freedom: float | None = None
    interval: Interval
    if_missing_wrong: float | None = None
    if_missing_right: float | None = None
    interval_if_missing: Interval | None = None
    unparsed: int = 0
    parsed_mean: float | None = None
    clusters: int | None = None
    effective_size: float | None = None
    naive_standard_error: float | None = None
    naive_interval: Interval | None = None
    undefined: FrozenDict = attrs.field(default=EMPTY, converter=freeze_mapping)
    warnings: tuple[str, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True)
class SkewedEstimate(HashableModel):
    """Mean and median of a skewed quantity such as cost or latency, in the quantity's own unit.

    Attributes:
        name: what was measured.
        planned: values expected.
        measured: values there.
        missing: planned minus measured.
        mean: arithmetic mean.
        mean_interval: studentised bootstrap, or Hall's skewness-corrected t for many values.
        median: the middle value (the mean of the two middle ones if their number is even).
        median_interval: from order statistics, or Woodruff's if values are clustered.
        percentile_90: the 90th percentile, by linear interpolation.
        percentile_99: the 99th percentile, by linear interpolation.
        clusters: how many clusters; `None` if values count as independent.
        undefined: for each figure that is `None`, the reason.
        warnings: what a reader should know.
    """

    name: str
    planned: int
    measured: int
    missing: int
    mean: float | None = None
    mean_interval: Interval
    median: float | None = None
    median_interval: Interval
    percentile_90: float | None = None
    percentile_99: float | None = None
    clusters: int | None = None
    undefined: FrozenDict = attrs.field(default=EMPTY, converter=freeze_mapping)
    warnings: tuple[str, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True)
class SignificanceTest(HashableModel):
    """One two-sided test of "no difference".

    Attributes:
        method: the test's name, with `exact`, `mid-p` or `sampled` in it where that matters.
        p_value: in (0, 1]; `None` if not defined.
        statistic: the test's statistic: t or z; McNemar's smaller count, the sign test's wins; Wilcoxon's smaller rank
            sum; the sum of the differences, for sign flips.
        degrees_of_freedom: of a t test; `None` for others.
        resamples: how many random draws stand behind a sampled p-value; `None` if it is exact or analytic.
        reason: why the p-value is not defined.
    """

    method: str
    p_value: float | None = None
    statistic: float | None = None
    degrees_of_freedom: float | None = None
    resamples: int | None = None
    reason: str | None = None


@attrs.frozen(kw_only=True)
class EquivalenceTest(HashableModel):
    """Two one-sided tests of a difference against a margin declared beforehand (TOST).

    Attributes:
        margin: the largest difference that counts as none, in the unit of the score.
        difference: the observed difference.
        p_value: the larger of the two one-sided p-values; `None` if not defined.
        statistic: the statistic of that p-value, Tango's z or t: above 0 where the difference lies within the margin.
        degrees_of_freedom: of t; `None` where the statistic is normal.
        equivalent: whether `interval` lies within the margin, and would whatever missing scores are; `None` if not
            defined.
        alpha: the error rate.
        interval: the `1 - 2 alpha` interval, which lies within the margin exactly when `p_value` is at most `alpha`.
        interval_if_missing: the lowest lower and the highest upper end that it could have, whatever the scores that are
            missing are; `None` if none is.
        reason: why the p-value is not defined.
    """

    margin: float
    difference: float | None = None
    p_value: float | None = None
    statistic: float | None = None
    degrees_of_freedom: float | None = None
    equivalent: bool | None = None
    alpha: float = DEFAULT_ALPHA
    interval: Interval
    interval_if_missing: Interval | None = None
    reason: str | None = None


@attrs.frozen(kw_only=True)
class MissingPairs(HashableModel):
    """What pairs that lack a score could do to a comparison, whatever their scores are.

    Attributes:
        pairs: how many there are, those of which a part of the answers is missing among them.
        lowest: the difference over all pairs if each of these went against `b`; `None` if the range of scores is not
            known.
        highest: the difference if each went in favour of `b`.
        interval: the lowest lower and the highest upper end that the interval of the difference could have.
        equivalence_interval: the same for the `1 - 2 alpha` interval, which decides on equivalence.
        test: the test if each went against the run that scores higher: no other scores give a larger p-value.
        p_holm: that p-value adjusted over the family, whose other members are as large as they could be, too; of
            `if_missing` alone.
        holds: whether the run that scores significantly higher does so whatever these pairs were; `None` if none does;
            of `if_missing` alone.
    """

    pairs: int
    lowest: float | None = None
    highest: float | None = None
    interval: Interval
    equivalence_interval: Interval
    test: SignificanceTest
    p_holm: float | None = None
    holds: bool | None = None


@attrs.frozen(kw_only=True)
class PairedComparison(HashableModel):
    """Two runs compared on one metric over the cases that both scored. Differences are `b` minus `a`.

    Attributes:
        metric_id: the metric.
        label_a: what to call the first run.
        label_b: what to call the second run.
        pairs: cases scored in both runs: the denominator of `difference`.
        rows_a: rows of `a` that went into the pairs; more than `pairs` if cases have several samples.
        rows_b: the same of `b`.
        unmatched_a: cases that only `a` has.
        unmatched_b: cases that only `b` has.
        unscored: cases both have but at least one has no score for: left out, pairwise.
        changed: cases left out because their content differs between the runs.
        mean_a: mean of `a` over the pairs.
        mean_b: mean of `b` over the pairs.
        difference: `mean_b - mean_a`.
        standard_error: of the difference, pairs counting as independent.
        clustered_standard_error: of the difference, clusters of cases staying whole.
        clusters: how many clusters; `None` if none were named.
        effective_pairs: the number of independent pairs that would be as precise; `None` without clusters.
        degrees_of_freedom: of the standard error that decides, the clustered one if clusters were named: pairs
            less one; with CR2 fewer than clusters, by Bell and McCaffrey; with CR1 clusters less one.
        interval: confidence interval of the difference.
        naive_interval: the interval if clusters were ignored; `None` without clusters.
        binary: whether every score of the pairs is 0 or 1.
        score_range: the lowest and the highest possible score, as declared or, where all scores lie there, 0 and 1.
        wins: pairs in which `b` has the higher score.
        losses: pairs in which `b` has the lower score.
        ties: pairs with equal scores.
        constant_difference: every pair differs by the same amount, which real runs hardly ever do.
        test: the test that decides.
        sign_test: exact sign test over wins and losses, pairs counting as independent.
        wilcoxon: Wilcoxon's signed-rank test, pairs counting as independent.
        p_holm: `test`'s p-value adjusted over the family for decisions (Holm 1979).
        p_benjamini_hochberg: adjusted for screening (Benjamini and Hochberg 1995).
        family_size: how many tests the adjustment is over.
        alpha: the error rate of the decision.
        significant: whether `p_holm` is at most `alpha`; `None` if there is no p-value.
        power: the power that the next two figures are for.
        minimum_detectable_effect: the smallest true difference that the test that decides finds with that power, at the
            error rate `alpha / family_size`, which Holm's adjustment leaves each test.
        cases_needed: cases from which on it finds a true difference as large as the observed one with that power.
        equivalence: the test against a margin, if one was declared.
        if_missing: what the missing scores of cases that both runs have could change; `None` if none is missing.
        if_left_out: the same with the cases that were added, removed or changed (a changed one is a case removed and
            one added); `None` if there are none. Gates decide by it.
        undefined: for each figure that is `None`, the reason.
        warnings: what a reader should know.
    """

    metric_id: str
    label_a: str = "a"
    label_b: str = "b"
    pairs: int
    rows_a: int
    rows_b: int
    unmatched_a: int = 0
    unmatched_b: int = 0
    unscored: int = 0
    changed: int = 0
    mean_a: float | None = None
    mean_b: float | None = None
    difference: float | None = None
    standard_error: float | None = None
    clustered_standard_error: float | None = None
    clusters: int | None = None
    effective_pairs: float | None = None
    degrees_of_freedom: float | None = None
    interval: Interval
    naive_interval: Interval | None = None
    binary: bool = False
    score_range: tuple[float, float] | None = None
    wins: int = 0
    losses: int = 0
    ties: int = 0
    constant_difference: bool = False
    test: SignificanceTest
    sign_test: SignificanceTest
    wilcoxon: SignificanceTest
    p_holm: float | None = None
    p_benjamini_hochberg: float | None = None
    family_size: int = 1
    alpha: float = DEFAULT_ALPHA
    significant: bool | None = None
    power: float = DEFAULT_POWER
    minimum_detectable_effect: float | None = None
    cases_needed: int | None = None
    equivalence: EquivalenceTest | None = None
    if_missing: MissingPairs | None = None
    if_left_out: MissingPairs | None = None
    undefined: FrozenDict = attrs.field(default=EMPTY, converter=freeze_mapping)
    warnings: tuple[str, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True)
class RunComparison(HashableModel):
    """Two runs compared on every metric they share.

    Attributes:
        label_a: what to call the first run.
        label_b: what to call the second run.
        comparisons: one per metric, by metric id, and per figure of several answers; adjusted over all of them.
        added: case keys that only `b` has.
        removed: case keys that only `a` has.
        changed: case keys whose content differs between the runs; left out of every comparison.
        content_checked: whether content hashes of both runs were at hand for the check.
        metrics_only_a: metrics that only `a` has.
        metrics_only_b: metrics that only `b` has.
        run_a: the first run's id, if it is a stored one.
        run_b: the second run's id, if it is a stored one.
        status_a: the first run's status, if it is a stored one.
        status_b: the second run's status, if it is a stored one.
        notes: in what the two runs differ.
    """

    label_a: str = "a"
    label_b: str = "b"
    comparisons: tuple[PairedComparison, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    content_checked: bool = False
    metrics_only_a: tuple[str, ...] = ()
    metrics_only_b: tuple[str, ...] = ()
    run_a: str | None = None
    run_b: str | None = None
    status_a: str | None = None
    status_b: str | None = None
    notes: tuple[str, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True)
class UnpairedComparison(HashableModel):
    """Two independent samples compared. Differences are `b` minus `a`; paired designs should not use this.

    Attributes:
        scored_a: scores of `a`.
        scored_b: scores of `b`.
        mean_a: mean of `a`.
        mean_b: mean of `b`.
        difference: `mean_b - mean_a`.
        interval: Newcombe's hybrid score interval for 0/1 scores, Welch's otherwise.
        test: the score test for 0/1 scores, Welch's t test otherwise.
        undefined: for each figure that is `None`, the reason.
    """

    scored_a: int
    scored_b: int
    mean_a: float | None = None
    mean_b: float | None = None
    difference: float | None = None
    interval: Interval
    test: SignificanceTest
    undefined: FrozenDict = attrs.field(default=EMPTY, converter=freeze_mapping)


@attrs.frozen(kw_only=True)
class Agreement(HashableModel):
    """How far raters agree on the same units.

    Attributes:
        method: the coefficient's name.
        value: 1 is perfect agreement; 0 is what chance gives (for raw agreement: no agreement).
        units: units rated by at least two raters: the ones counted.
        dropped_units: units left out because fewer than two raters rated them.
        raters: the number of raters.
        standard_error: of the value; `None` where the interval is not made of one, or not defined.
        interval: confidence interval over units.
        reason: why the value is not defined.
    """

    method: str
    value: float | None = None
    units: int
    dropped_units: int = 0
    raters: int
    standard_error: float | None = None
    interval: Interval
    reason: str | None = None
