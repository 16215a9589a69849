"""Two runs on the same cases: difference, interval, tests, and what the design could have found.

The rule of the room: the unit is the case. A case with several samples enters with its mean score in each
run, so that all its rows count and none is paired with a stranger. Differences are `b` minus `a`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import attrs

from themis.pure.json import EMPTY
from themis.pure.stats.arguments import (
    Level,
    Power,
    Seed,
    check_fields,
    checked_arguments,
    refuse_unless,
)
from themis.pure.stats.bounds import Possible, Range, paired_bounds
from themis.pure.stats.distributions import t_quantile
from themis.pure.stats.estimates import (
    FEW_VALUES,
    UNKNOWN_RANGE,
    few_clusters,
    observed_clusters,
    range_of,
    within_range,
)
from themis.pure.stats.intervals import bonett_price_interval, t_interval, tied_interval
from themis.pure.stats.power import (
    cases_by_mcnemar,
    cases_by_sign_flips,
    detectable_by_mcnemar,
    detectable_by_sign_flips,
    fewest_pairs,
)
from themis.pure.stats.records import (
    DEFAULT_LEVEL,
    DEFAULT_POWER,
    Interval,
    MissingPairs,
    PairedComparison,
    SignificanceTest,
)
from themis.pure.stats.resampling import sign_flip_test
from themis.pure.stats.samples import (
    DEFAULT_CORRECTION,
    Correction,
    by_cluster,
    checked,
    cluster_degrees_of_freedom,
    cluster_standard_error,
    effective_clusters,
    effective_size,
    grouped,
    has_clusters,
    is_binary,
    is_constant,
    mean,
    variance,
)
from themis.pure.stats.significance import (
    benjamini_hochberg,
    holm,
    mcnemar_test,
    sign_test,
    wilcoxon_test,
)

Scored = tuple[str, float | None]
"""A case key and a score, `None` if there is none."""


@attrs.frozen(kw_only=True)
class CaseScores:
    """One run's scores by case.

    Attributes:
        scores: case key -> the scores that it has; their mean is the case's.
        missing: case key -> how many of its scores are missing, if any are.
        ranges: case key -> the lowest and the highest that the case's score could be, where that can't be told from the
            two above.
        whole: whether a metric whose scores are 0 or 1 gives every case a score of 0 or 1, whatever is missing.
    """

    scores: Mapping[str, Sequence[float]]
    missing: Mapping[str, int] = EMPTY
    ranges: Mapping[str, Range] = EMPTY
    whole: bool

    @classmethod
    def of(cls, rows: Iterable[Scored], what: str) -> CaseScores:
        """Group the rows by case."""
        # Most cases have one score, and a tuple of a number costs the collector nothing.
        table = list(rows)
        groups: dict[str, Sequence[float]] = {}
        missing: Counter[str] = Counter()
        for (key, _), value in zip(table, checked([value for _, value in table], what), strict=True):
            if value is None:
                missing[key] += 1
            scores = () if value is None else (value,)
            before = groups.setdefault(key, scores)
            if before is scores:
                continue
            if not isinstance(before, list):
                before = groups[key] = list(before)
            before.extend(scores)
        return cls(scores=groups, missing=missing, whole=len(table) == len(groups))

    def range_of(self, key: str, of_one: Range) -> Range:
        """Return what the score of a case could be, if that of one answer lies in a range."""
        if key in self.ranges:
            return self.ranges[key]
        scores, missing = self.scores.get(key, ()), self.missing.get(key, 0)
        if not scores:
            return of_one
        total, count = math.fsum(scores), len(scores) + missing
        return (total + missing * of_one[0]) / count, (total + missing * of_one[1]) / count


@attrs.frozen(kw_only=True)
class PairedMethod:
    """How two runs are compared.

    Attributes:
        level: nominal coverage; the decision's error rate is 1 - level.
        power: for the minimum detectable effect and the cases needed.
        mid_p: McNemar's mid-p in place of the exact test.
        correction: of the cluster-robust standard error.
        seed: of sampled permutations.
    """

    level: Level = DEFAULT_LEVEL
    power: Power = DEFAULT_POWER
    mid_p: bool = False
    correction: Correction = DEFAULT_CORRECTION
    seed: Seed = 0

    def __attrs_post_init__(self) -> None:
        check_fields(self)
        allowed = f"above the error rate of {1.0 - self.level:g} and below 1"
        refuse_unless(1.0 - self.level < self.power, "PairedMethod", "power", self.power, allowed)


_USUAL: Final = PairedMethod()
_NO_PAIR: Final = "no case is scored in both runs"
_NO_TEST: Final = SignificanceTest(method="none", reason=_NO_PAIR)


@checked_arguments
def paired_compare(
    rows_a: Iterable[Scored],
    rows_b: Iterable[Scored],
    *,
    metric_id: str = "score",
    label_a: str = "a",
    label_b: str = "b",
    clusters: Mapping[str, str] | None = None,
    changed: Collection[str] = (),
    score_range: Range | None = None,
    method: PairedMethod = _USUAL,
) -> PairedComparison:
    """Compare two runs on one metric over the cases both scored.

    Args:
        rows_a: (case key, score or `None`) of the first run, a row per sample.
        rows_b: the same of the second.
        metric_id: the metric's name, for the record.
        label_a: the first run's name.
        label_b: the second run's name.
        clusters: case key -> cluster; a case without one is a cluster of its own.
        changed: keys of cases whose content differs between the runs; left out and counted.
        score_range: lowest and highest possible score, for what missing scores could change; (0, 1) if all lie there.
        method: intervals and tests.

    Raises:
        StatisticsError: a score is NaN or infinite, or lies outside the range.

    Source: 0/1 scores: Bonett and Price (2012) and McNemar (1947); otherwise Student (1908) for the interval
    and Fisher (1935) for the sign flips; paired and clustered errors: Miller (2024), arXiv 2411.00640.

    >>> a = [("c1", 0.0), ("c2", 1.0), ("c3", 0.0), ("c4", None)]
    >>> b = [("c1", 1.0), ("c2", 1.0), ("c3", 1.0), ("c5", 1.0)]
    >>> compared = paired_compare(a, b)
    >>> compared.pairs, compared.wins, compared.losses, compared.ties, compared.test.p_value
    (3, 2, 0, 1, 0.5)
    """
    compared = compare_cases(
        CaseScores.of(rows_a, "a"),
        CaseScores.of(rows_b, "b"),
        metric_id=metric_id,
        label_a=label_a,
        label_b=label_b,
        clusters=clusters,
        changed=changed,
        score_range=score_range,
        method=method,
    )
    return adjusted([compared])[0]


def compare_cases(
    run_a: CaseScores,
    run_b: CaseScores,
    *,
    metric_id: str,
    label_a: str,
    label_b: str,
    clusters: Mapping[str, str] | None = None,
    changed: Collection[str] = (),
    score_range: Range | None = None,
    method: PairedMethod = _USUAL,
) -> PairedComparison:
    """Compare two runs by their cases' scores. Arguments as `paired_compare`.

    What depends on the family that the comparison belongs to, its decision and what it could find, is left to
    `adjusted`: that is slow to work out, and would be worked out twice.
    """
    a, b = run_a.scores, run_b.scores
    shared = sorted(a.keys() & b.keys())
    left_out = set(changed)
    kept = [key for key in shared if key not in left_out] if left_out else shared
    scored = [key for key in kept if a[key] and b[key]]
    base = PairedComparison(
        metric_id=metric_id,
        label_a=label_a,
        label_b=label_b,
        pairs=len(scored),
        rows_a=sum(len(a[key]) for key in scored),
        rows_b=sum(len(b[key]) for key in scored),
        unmatched_a=len(a) - len(shared),
        unmatched_b=len(b) - len(shared),
        unscored=len(kept) - len(scored),
        changed=len(shared) - len(kept),
        interval=Interval(level=method.level, method="none", reason=_NO_PAIR),
        test=_NO_TEST,
        sign_test=_NO_TEST,
        wilcoxon=_NO_TEST,
        alpha=round(1.0 - method.level, 12),
        power=method.power,
    )
    base = base.evolve(warnings=_left_out(base))
    every = [score for scores in (*a.values(), *b.values()) for score in scores]
    within_range("paired_compare", every, score_range)
    score_range = range_of(every, score_range)
    if not scored:
        figures = ("mean_a", "mean_b", "difference", "standard_error", "minimum_detectable_effect", "cases_needed")
        return base.evolve(undefined=dict.fromkeys(figures, _NO_PAIR))
    scores_a, scores_b = [mean(a[key]) for key in scored], [mean(b[key]) for key in scored]
    differences = differences_of(scores_a, scores_b)
    found = compare_differences(
        base.evolve(
            mean_a=mean(scores_a),
            mean_b=mean(scores_b),
            binary=is_binary(scores_a) and is_binary(scores_b),
            score_range=score_range,
            sign_test=sign_test(sum(d > 0 for d in differences), sum(d < 0 for d in differences)),
            wilcoxon=wilcoxon_test(differences),
        ),
        differences,
        None if clusters is None else observed_clusters(scored, clusters),
        method,
    )
    whole = is_binary(every) and score_range == (0.0, 1.0) and run_a.whole and run_b.whole
    unsure = {key for run in (run_a, run_b) for keys in (run.missing, run.ranges) for key in keys}
    known = zip(scored, differences, strict=True)
    pairs = _Pairs(
        sure=[pair for pair in known if pair[0] not in unsure] if unsure else list(known),
        score_range=score_range,
        # A single score that is missing has the range of scores; the mean of several has a part of it.
        step=None if score_range is None or not (run_a.whole and run_b.whole) else score_range[1] - score_range[0],
        whole=whole,
        binary=is_binary(every),
        clusters=clusters,
        method=method,
    )
    missing = []
    if unsure or len(scored) < len(kept):
        missing = [key for key in kept if key in unsure or not a[key] or not b[key]]
    swapped = [key for key in shared if key in left_out]
    only_a, only_b = [*sorted(a.keys() - b.keys()), *swapped], [*sorted(b.keys() - a.keys()), *swapped]
    every_pair = [(key, run_a, run_b) for key in missing]
    found = found.evolve(if_missing=pairs.completed(found, every_pair))
    if only_a or only_b:
        every_pair += [(key, run_a, _NOTHING) for key in only_a] + [(key, _NOTHING, run_b) for key in only_b]
        found = found.evolve(if_left_out=pairs.completed(found, every_pair))
    return found


_NOTHING: Final = CaseScores(scores=EMPTY, whole=True)


def compare_differences(
    base: PairedComparison, differences: Sequence[float], keys: Sequence[Hashable] | None, method: PairedMethod
) -> PairedComparison:
    """Return a comparison, of which the means and the range of scores are known, with what its differences say.

    Args:
        base: what is known; `binary` says whether all scores are 0 or 1.
        differences: of the pairs, in any order.
        keys: each pair's cluster.
        method: interval and test.
    """
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    counted = base.evolve(difference=mean(differences), wins=wins, losses=losses, ties=len(differences) - wins - losses)
    width = None if base.score_range is None else base.score_range[1] - base.score_range[0]
    return _tested(counted, differences, keys, method, width=width)


@attrs.frozen(kw_only=True)
class _Pairs:
    """The pairs whose difference is known, and what is needed to tell what the others could do.

    Attributes:
        sure: case key and difference.
        score_range: of one score; `None` if it is not known.
        step: see `Possible`.
        whole: whether all scores are 0 or 1, whatever the missing ones are.
        binary: whether all scores that are known are.
        clusters: case key -> cluster.
        method: intervals and tests.
    """

    sure: Sequence[tuple[str, float]]
    score_range: Range | None
    step: float | None
    whole: bool
    binary: bool
    clusters: Mapping[str, str] | None
    method: PairedMethod

    def completed(
        self, found: PairedComparison, units: Sequence[tuple[str, CaseScores, CaseScores]]
    ) -> MissingPairs | None:
        """Return what pairs without a difference could change.

        Where every difference d that is not known is at the end that is worst for the run that scores higher, the test
        has the largest p-value of all completions. Say that `b` scores higher. A sign flip counts the sets S of pairs
        whose flipped signs make the sum of d over S at most 0, and those that do so over the pairs outside S: the
        larger any d, the fewer they are. McNemar's test is that of differences of 1 and -1, and clusters are flipped
        by their sums, which grow with d, too.
        """
        if not units:
            return None
        level, named = found.interval.level, found.interval.method
        narrow = round(1.0 - 2.0 * found.alpha, 12)
        if self.score_range is None:
            none = Interval(level=level, method=named, reason=UNKNOWN_RANGE)
            test = SignificanceTest(method=found.test.method, reason=UNKNOWN_RANGE)
            return MissingPairs(
                pairs=len(units), interval=none, equivalence_interval=none.evolve(level=narrow), test=test
            )
        ranges = []
        for key, a, b in units:
            (low_a, high_a), (low_b, high_b) = a.range_of(key, self.score_range), b.range_of(key, self.score_range)
            ranges.append((low_b - high_a, high_b - low_a))
        keys = [key for key, _ in self.sure] + [key for key, _, _ in units]
        clusters = None if self.clusters is None else observed_clusters(keys, self.clusters)
        known = [difference for _, difference in self.sure]
        lows, highs = ([*known, *(each[end] for each in ranges)] for end in (0, 1))
        possible = Possible(
            ranges=list(zip(lows, highs, strict=True)), clusters=clusters, step=self.step, whole=self.whole
        )
        width, correction = self.score_range[1] - self.score_range[0], self.method.correction
        interval = paired_bounds(possible, level=level, method=named, correction=correction, width=width)
        equivalence_interval = Interval(level=narrow, method=_TOST, reason="it needs an error rate below 0.5")
        if narrow > 0.0:
            equivalence_interval = paired_bounds(
                possible, level=narrow, method=_TOST, correction=correction, width=width, equivalence=True
            )
        test = SignificanceTest(method=found.test.method, reason="neither run scores higher")
        if found.difference:
            worst = lows if found.difference > 0.0 else highs
            test = _test(worst, clusters, self.method, binary=self.binary)
        return MissingPairs(
            pairs=len(units),
            lowest=mean(lows),
            highest=mean(highs),
            interval=interval,
            equivalence_interval=equivalence_interval,
            test=test,
        )


def _left_out(comparison: PairedComparison) -> Iterator[str]:
    if comparison.changed:
        yield f"{comparison.changed} cases were left out: their content differs between the runs"
    if comparison.unscored:
        yield f"{comparison.unscored} cases were left out: at least one run has no score for them"
    a, b = comparison.unmatched_a, comparison.unmatched_b
    if a or b:
        yield f"{a} cases are only in {comparison.label_a}, {b} only in {comparison.label_b}"


def differences_of(scores_a: Sequence[float], scores_b: Sequence[float]) -> list[float]:
    # Rounding noise in means of samples must not turn a tie into a win.
    scale = max(map(abs, (*scores_a, *scores_b)))
    raw = [b - a for a, b in zip(scores_a, scores_b, strict=True)]
    return [0.0 if abs(value) <= 1e-12 * scale else value for value in raw]


def _tested(
    base: PairedComparison,
    differences: Sequence[float],
    keys: Sequence[Hashable] | None,
    method: PairedMethod,
    *,
    width: float | None,
) -> PairedComparison:
    binary = base.binary
    scale = max(abs(base.mean_a or 0.0), abs(base.mean_b or 0.0), max(map(abs, differences)))
    constant = len(differences) > 1 and is_constant(differences, scale)
    offset = differences[0] if constant else 0.0
    reason = None
    if len(differences) == 1:
        reason = "one pair has no spread"
    elif constant:
        reason = f"no variation: every pair {f'differs by {offset:+g}' if offset else 'is a tie'}"
    error = None if reason else math.sqrt(variance(differences) / len(differences))
    if binary:
        plain = bonett_price_interval(base.wins, base.losses, base.pairs, level=method.level)
    else:
        centre, named = base.difference or 0.0, "paired Student t"
        plain = t_interval(centre, error, base.pairs - 1, level=method.level, method=named, reason=reason)
        if constant and not offset and width is not None:
            plain = tied_interval(base.pairs, width, level=method.level)
    notes = list(base.warnings)
    if offset:
        notes.append(f"every pair differs by exactly {offset:+g}: check how the scores were made")
    if not binary and len(differences) < FEW_VALUES and not reason:
        notes.append(f"{len(differences)} pairs: under {FEW_VALUES} a t interval rests on near-normal differences")
    tested = base.evolve(
        standard_error=error,
        degrees_of_freedom=None if error is None else base.pairs - 1.0,
        interval=plain,
        constant_difference=bool(offset),
        undefined={"standard_error": reason} if reason else {},
        warnings=notes,
    )
    if offset and not binary:
        # A p-value of 1e-47 would be about an offset in the scores, not about the models.
        tested = tested.evolve(
            test=SignificanceTest(method="sign-flip permutation", reason=reason),
            sign_test=base.sign_test.evolve(p_value=None, reason=reason),
            wilcoxon=base.wilcoxon.evolve(p_value=None, reason=reason),
        )
    if has_clusters(keys):
        return _clustered(tested, differences, keys, method, reason, width=width)
    if not offset or binary:
        tested = tested.evolve(test=_test(differences, None, method, binary=binary))
    if keys is None:
        return tested
    # Clusters of one are no clusters: naming them changes nothing.
    undefined = {**tested.undefined, "clustered_standard_error": reason} if reason else tested.undefined
    return tested.evolve(
        clusters=base.pairs,
        effective_pairs=float(base.pairs),
        clustered_standard_error=error,
        naive_interval=plain,
        undefined=undefined,
    )


def _test(
    differences: Sequence[float], keys: Sequence[Hashable] | None, method: PairedMethod, *, binary: bool
) -> SignificanceTest:
    """Return the test that decides."""
    if has_clusters(keys):
        test = sign_flip_test(cluster_sums(differences, keys), seed=method.seed)
        return test.evolve(method=test.method.replace("sign-flip permutation", _OF_CLUSTERS))
    wins, losses = differences.count(1.0), differences.count(-1.0)
    if binary and wins + losses == len(differences) - differences.count(0.0):
        return mcnemar_test(wins, losses, mid_p=method.mid_p)
    return sign_flip_test(differences, seed=method.seed)


_TOST: Final = "two one-sided tests"
_OF_CLUSTERS: Final = "sign-flip permutation of clusters"


def _clustered(
    base: PairedComparison,
    differences: Sequence[float],
    keys: Sequence[Hashable],
    method: PairedMethod,
    reason: str | None,
    *,
    width: float | None,
) -> PairedComparison:
    sample, correction = by_cluster(differences, keys), method.correction
    error, freedom = None, 0.0
    size = effective_size(sample, 0.0, None) if reason is not None and sample.clusters > 1 else None
    if sample.clusters < 2:
        reason = "one cluster: its spread can't be told from that of others; two are needed"
    elif reason is None:
        error, freedom = cluster_standard_error(sample, correction), cluster_degrees_of_freedom(sample, correction)
        discordant = (base.wins + base.losses) / base.pairs
        spread = discordant - sample.mean**2 if base.binary else variance(differences)
        size = effective_size(sample, spread, error)
        largest = max(map(abs, sample.residual_sums))
        if error == 0.0 or largest <= 1e-12 * abs(sample.mean) * sample.size:
            error, reason = None, "no variation between clusters"
    undefined = dict(base.undefined)
    if reason is None:
        test = _test(differences, keys, method, binary=base.binary)
    else:
        undefined["clustered_standard_error"] = reason
        test = SignificanceTest(method=_OF_CLUSTERS, reason=reason)
    if base.binary and size is not None:
        scale = size / base.pairs
        critical = t_quantile(0.5 + method.level / 2.0, cluster_degrees_of_freedom(sample, correction))
        interval = bonett_price_interval(
            base.wins * scale, base.losses * scale, size, level=method.level, critical=critical
        )
        interval = interval.evolve(method=f"clustered Bonett-Price ({correction})")
    elif base.ties == base.pairs and sample.clusters > 1 and width is not None:
        interval = tied_interval(effective_clusters(sample), width, level=method.level)
    else:
        named = f"paired clustered Student t ({correction})"
        interval = t_interval(sample.mean, error, freedom, level=method.level, method=named, reason=reason)
    return base.evolve(
        clusters=sample.clusters,
        effective_pairs=size,
        clustered_standard_error=error,
        degrees_of_freedom=None if error is None else freedom,
        interval=interval,
        naive_interval=base.interval,
        test=test,
        undefined=undefined,
        warnings=[*base.warnings, *few_clusters(sample)],
    )


def cluster_sums(differences: Sequence[float], clusters: Sequence[Hashable]) -> list[float]:
    """Return the sum of differences of each cluster: what a sign flip that keeps clusters whole flips.

    >>> cluster_sums([1.0, 1.0, -1.0], ["x", "x", "y"])
    [-1.0, 2.0]
    """
    return sorted(map(math.fsum, grouped(differences, clusters)))


def _planned(comparison: PairedComparison) -> PairedComparison:
    """Say what the test that decides could have found, at the error rate that Holm's adjustment leaves it for sure."""
    undefined = {
        k: v for k, v in comparison.undefined.items() if k not in ("minimum_detectable_effect", "cases_needed")
    }
    alpha = comparison.alpha / comparison.family_size
    effect: float | None = None
    needed: int | None = None
    reason = _too_few(comparison, alpha)
    if comparison.difference is None:
        reason = undefined["difference"]
    elif comparison.binary and comparison.clusters in (None, comparison.pairs):
        discordant, mid_p = (comparison.wins + comparison.losses) / comparison.pairs, "mid-p" in comparison.test.method
        if reason is None:
            effect = detectable_by_mcnemar(comparison.pairs, discordant, comparison.power, alpha, mid_p)
        needed = cases_by_mcnemar(abs(comparison.difference), discordant, comparison.power, alpha, mid_p)
    else:
        error = comparison.standard_error if comparison.clusters is None else comparison.clustered_standard_error
        if error is None or comparison.degrees_of_freedom is None:
            why = undefined.get("clustered_standard_error") or undefined.get("standard_error") or "no spread"
            reason = reason or why
            undefined["cases_needed"] = why
        else:
            effect, needed = _by_sign_flips(comparison, error, comparison.degrees_of_freedom, alpha)
    if needed is None and "cases_needed" not in undefined:
        zero = "the observed difference is 0" if comparison.difference == 0.0 else reason
        undefined["cases_needed"] = zero or "the difference is too small"
    if effect is not None and comparison.score_range is not None:
        width = comparison.score_range[1] - comparison.score_range[0]
        if effect > width:
            reason = f"no difference within the scores' range would be found with {100 * comparison.power:.4g} % power"
    if reason is not None:
        effect, undefined["minimum_detectable_effect"] = None, reason
    return comparison.evolve(minimum_detectable_effect=effect, cases_needed=needed, undefined=undefined)


def _too_few(comparison: PairedComparison, alpha: float) -> str | None:
    """Return why no difference can be significant, if none can."""
    what, units = ("pairs", comparison.pairs) if comparison.clusters is None else ("clusters", comparison.clusters)
    fewest = fewest_pairs(alpha, mid_p="mid-p" in comparison.test.method)
    return f"no difference can be significant with fewer than {fewest} {what}" if units < fewest else None


def _by_sign_flips(
    comparison: PairedComparison, error: float, freedom: float, alpha: float
) -> tuple[float | None, int | None]:
    units = comparison.pairs if comparison.clusters is None else comparison.clusters
    errors = detectable_by_sign_flips(units, freedom, comparison.power, alpha)
    # The spread of one independent pair that would give this standard error: clusters are priced in.
    spread = error * math.sqrt(comparison.pairs)
    needed = cases_by_sign_flips(comparison.difference or 0.0, spread, comparison.power, alpha)
    if needed is not None:
        needed = max(needed, math.ceil(fewest_pairs(alpha) * comparison.pairs / units))
    return None if errors is None else errors * error, needed


# --- families of comparisons ------------------------------------------------------------------------------


@checked_arguments
def adjusted(comparisons: Sequence[PairedComparison]) -> tuple[PairedComparison, ...]:
    """Adjust the p-values of a family of comparisons, over metrics or candidates, and decide each.

    Decisions take Holm's adjustment; Benjamini-Hochberg's is given for screening. What a comparison could find is
    told for the family, too.
    """
    raw = [comparison.test.p_value for comparison in comparisons]
    family = zip(comparisons, holm(raw), benjamini_hochberg(raw), strict=True)
    decided = [_decided(comparison, p_holm, p_bh, len(raw)) for comparison, p_holm, p_bh in family]
    # Holm's adjustment grows with every p-value of the family: at the largest of each it is the largest.
    worst = holm([largest_p(comparison, comparison.if_missing) for comparison in comparisons])
    return tuple(
        each if each.if_missing is None else each.evolve(if_missing=_held(each, each.if_missing, p))
        for each, p in zip(decided, worst, strict=True)
    )


def largest_p(comparison: PairedComparison, missing: MissingPairs | None) -> float | None:
    """Return the largest p-value that missing pairs allow: 1 if they could turn the difference round."""
    if missing is None:
        return comparison.test.p_value
    ahead = _stays_ahead(comparison, missing) and missing.test.p_value is not None
    return missing.test.p_value if ahead else 1.0


def _stays_ahead(comparison: PairedComparison, missing: MissingPairs) -> bool:
    """Whether the run that scores higher does so whatever the missing pairs are."""
    if not comparison.difference or missing.lowest is None or missing.highest is None:
        return False
    return missing.lowest > 0.0 if comparison.difference > 0.0 else missing.highest < 0.0


def _held(comparison: PairedComparison, missing: MissingPairs, p_holm: float | None) -> MissingPairs:
    known = missing.test.p_value is not None
    holds = _stays_ahead(comparison, missing) and p_holm is not None and p_holm <= comparison.alpha
    return missing.evolve(p_holm=p_holm if known else None, holds=holds if comparison.significant else None)


def _decided(comparison: PairedComparison, p_holm: float | None, p_bh: float | None, size: int) -> PairedComparison:
    undefined = dict(comparison.undefined)
    if p_holm is None:
        reason = comparison.test.reason or "no p-value"
        undefined |= dict.fromkeys(("p_holm", "p_benjamini_hochberg", "significant"), reason)
    decided = comparison.evolve(
        p_holm=p_holm,
        p_benjamini_hochberg=p_bh,
        family_size=size,
        significant=None if p_holm is None else p_holm <= comparison.alpha,
        undefined=undefined,
    )
    return _planned(decided)
