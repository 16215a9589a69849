"""Two runs on the same cases: difference, interval, tests, and what the design could have found.

The rule of the room: the unit is the case. A case with several samples enters with its mean score in each
run, so that all its rows count and none is paired with a stranger. Differences are `b` minus `a`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Final

import attrs

from themis.pure.stats.estimates import FEW_CLUSTERS, FEW_VALUES, observed_clusters
from themis.pure.stats.intervals import bonett_price_interval, t_interval
from themis.pure.stats.power import cases_needed, detectable_standard_errors
from themis.pure.stats.records import (
    DEFAULT_LEVEL,
    DEFAULT_POWER,
    Interval,
    PairedComparison,
    SignificanceTest,
)
from themis.pure.stats.resampling import sign_flip_test
from themis.pure.stats.samples import (
    ClusteredSample,
    Correction,
    by_cluster,
    checked,
    cluster_degrees_of_freedom,
    cluster_standard_error,
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


@attrs.frozen
class _Matched:
    """The cases both runs scored, and the count of those left out."""

    keys: tuple[str, ...]
    scores_a: tuple[float, ...]
    scores_b: tuple[float, ...]
    rows_a: int
    rows_b: int
    unmatched_a: int
    unmatched_b: int
    unscored: int
    changed: int


def _match_cases(rows_a: Iterable[Scored], rows_b: Iterable[Scored], changed: Collection[str] = ()) -> _Matched:
    """Pair two runs by case key; each case enters with the mean of its scored rows.

    Args:
        rows_a: (case key, score) of the first run, a row per sample.
        rows_b: the same of the second.
        changed: keys of cases to leave out because their content differs between the runs.
    """
    a, b = _grouped(rows_a, "a"), _grouped(rows_b, "b")
    left_out = set(changed)
    shared = a.keys() & b.keys()
    kept = sorted(shared - left_out) if left_out else sorted(shared)
    keys, scores_a, scores_b = [], [], []
    count_a = count_b = 0
    for key in kept:
        values_a, values_b = a[key], b[key]
        if values_a and values_b:
            keys.append(key)
            scores_a.append(mean(values_a))
            scores_b.append(mean(values_b))
            count_a += len(values_a)
            count_b += len(values_b)
    return _Matched(
        keys=tuple(keys),
        scores_a=tuple(scores_a),
        scores_b=tuple(scores_b),
        rows_a=count_a,
        rows_b=count_b,
        unmatched_a=len(a.keys() - shared),
        unmatched_b=len(b.keys() - shared),
        unscored=len(kept) - len(keys),
        changed=len(shared) - len(kept),
    )


def _grouped(rows: Iterable[Scored], what: str) -> dict[str, Sequence[float]]:
    # Case key -> its scores. Most cases have one, and a tuple of a number costs the collector nothing.
    table = list(rows)
    groups: dict[str, Sequence[float]] = {}
    for (key, _), value in zip(table, checked([value for _, value in table], what), strict=True):
        scores = () if value is None else (value,)
        before = groups.setdefault(key, scores)
        if before is scores:
            continue
        if not isinstance(before, list):
            before = groups[key] = list(before)
        before.extend(scores)
    return groups


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

    level: float = DEFAULT_LEVEL
    power: float = DEFAULT_POWER
    mid_p: bool = False
    correction: Correction = "CR1"
    seed: int = 0


_USUAL: Final = PairedMethod()


def paired_compare(
    rows_a: Iterable[Scored],
    rows_b: Iterable[Scored],
    *,
    metric_id: str = "score",
    label_a: str = "a",
    label_b: str = "b",
    clusters: Mapping[str, str] | None = None,
    changed: Collection[str] = (),
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
        method: intervals and tests.

    Raises:
        DataError: a score is NaN or infinite.

    Source: 0/1 scores: Bonett and Price (2012) and McNemar (1947); otherwise Student (1908) for the interval
    and Fisher (1935) for the sign flips; paired and clustered errors: Miller (2024), arXiv 2411.00640.

    >>> a = [("c1", 0.0), ("c2", 1.0), ("c3", 0.0), ("c4", None)]
    >>> b = [("c1", 1.0), ("c2", 1.0), ("c3", 1.0), ("c5", 1.0)]
    >>> compared = paired_compare(a, b)
    >>> compared.pairs, compared.wins, compared.losses, compared.ties, compared.test.p_value
    (3, 2, 0, 1, 0.5)
    """
    matched = _match_cases(rows_a, rows_b, changed)
    differences = _differences(matched)
    base = _counted(matched, differences, metric_id, label_a, label_b)
    base = base.evolve(power=method.power, alpha=round(1.0 - method.level, 12))
    if not differences:
        reason = "no case is scored in both runs"
        figures = ("mean_a", "mean_b", "difference", "standard_error", "minimum_detectable_effect", "cases_needed")
        missing = base.evolve(
            interval=base.interval.evolve(level=method.level), undefined=dict.fromkeys(figures, reason)
        )
        return adjusted([missing])[0]
    keys = None if clusters is None else observed_clusters(matched.keys, clusters)
    binary = is_binary(matched.scores_a) and is_binary(matched.scores_b)
    return adjusted([_planned(_tested(base, differences, keys, method, binary=binary), differences)])[0]


def _differences(matched: _Matched) -> list[float]:
    # Rounding noise in means of samples must not turn a tie into a win.
    scale = max((abs(v) for v in (*matched.scores_a, *matched.scores_b)), default=0.0)
    raw = [b - a for a, b in zip(matched.scores_a, matched.scores_b, strict=True)]
    return [0.0 if abs(value) <= 1e-12 * scale else value for value in raw]


def _counted(
    matched: _Matched, differences: Sequence[float], metric_id: str, label_a: str, label_b: str
) -> PairedComparison:
    none = SignificanceTest(method="none", reason="no case is scored in both runs")
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    notes = []
    if matched.changed:
        notes.append(f"{matched.changed} cases were left out: their content differs between the runs")
    if matched.unscored:
        notes.append(f"{matched.unscored} cases were left out: at least one run has no score for them")
    if matched.unmatched_a or matched.unmatched_b:
        notes.append(f"{matched.unmatched_a} cases are only in {label_a}, {matched.unmatched_b} only in {label_b}")
    return PairedComparison(
        metric_id=metric_id,
        label_a=label_a,
        label_b=label_b,
        pairs=len(differences),
        rows_a=matched.rows_a,
        rows_b=matched.rows_b,
        unmatched_a=matched.unmatched_a,
        unmatched_b=matched.unmatched_b,
        unscored=matched.unscored,
        changed=matched.changed,
        mean_a=mean(matched.scores_a) if differences else None,
        mean_b=mean(matched.scores_b) if differences else None,
        difference=mean(differences) if differences else None,
        interval=Interval(method="none", reason="no case is scored in both runs"),
        wins=wins,
        losses=losses,
        ties=len(differences) - wins - losses,
        test=none,
        sign_test=sign_test(wins, losses) if differences else none,
        wilcoxon=wilcoxon_test(differences) if differences else none,
        warnings=tuple(notes),
    )


def _tested(
    base: PairedComparison,
    differences: Sequence[float],
    keys: Sequence[Hashable] | None,
    method: PairedMethod,
    *,
    binary: bool,
) -> PairedComparison:
    scale = max(abs(base.mean_a or 0.0), abs(base.mean_b or 0.0), max(map(abs, differences)))
    constant = len(differences) > 1 and is_constant(differences, scale)
    reason = None
    if len(differences) == 1:
        reason = "one pair has no spread"
    elif constant:
        reason = "no variation: every pair is a tie"
        reason = f"no variation: every pair differs by {differences[0]:+g}" if differences[0] else reason
    error = None if reason else math.sqrt(variance(differences) / len(differences))
    if binary:
        plain = bonett_price_interval(base.wins, base.losses, base.pairs, level=method.level)
    else:
        centre, named = base.difference or 0.0, "paired Student t"
        plain = t_interval(centre, error, base.pairs - 1, level=method.level, method=named, reason=reason)
    undefined = {} if error is not None else {"standard_error": reason or ""}
    notes = list(base.warnings)
    if constant and differences[0]:
        notes.append(f"every pair differs by exactly {differences[0]:+g}: check how the scores were made")
    if not binary and len(differences) < FEW_VALUES and not reason:
        notes.append(f"{len(differences)} pairs: under {FEW_VALUES} a t interval rests on near-normal differences")
    tested = base.evolve(
        standard_error=error,
        degrees_of_freedom=None if error is None else base.pairs - 1.0,
        interval=plain,
        constant_difference=constant and bool(differences[0]),
        undefined=undefined,
        warnings=tuple(notes),
    )
    if constant and differences[0] and not binary:
        # A p-value of 1e-47 would be about an offset in the scores, not about the models.
        tested = tested.evolve(
            test=SignificanceTest(method="sign-flip permutation", reason=reason),
            sign_test=base.sign_test.evolve(p_value=None, reason=reason),
            wilcoxon=base.wilcoxon.evolve(p_value=None, reason=reason),
        )
        return tested if keys is None else _clustered(tested, differences, keys, method, reason, binary=binary)
    if keys is not None:
        return _clustered(tested, differences, keys, method, reason, binary=binary)
    if binary:
        return tested.evolve(test=mcnemar_test(base.wins, base.losses, mid_p=method.mid_p))
    return tested.evolve(test=sign_flip_test(differences, seed=method.seed))


def _clustered(
    base: PairedComparison,
    differences: Sequence[float],
    keys: Sequence[Hashable],
    method: PairedMethod,
    reason: str | None,
    *,
    binary: bool,
) -> PairedComparison:
    sample = by_cluster(differences, keys)
    error, freedom = None, 0.0
    if sample.clusters < 2:
        reason = "one cluster: its spread can't be told from that of others; two are needed"
    elif reason is None:
        error, freedom = _cluster_error(sample, method.correction)
        reason = None if error is not None else "no variation between clusters"
    notes, undefined = list(base.warnings), dict(base.undefined)
    if 2 <= sample.clusters < FEW_CLUSTERS:
        notes.append(f"{sample.clusters} clusters: under {FEW_CLUSTERS} a cluster-robust interval is too short")
    if error is None:
        undefined["clustered_standard_error"] = reason or "not defined"
    named = f"paired clustered Student t ({method.correction})"
    interval = t_interval(sample.mean, error, freedom, level=method.level, method=named, reason=reason)
    if binary and interval.low is not None and interval.high is not None:
        interval = interval.evolve(low=max(-1.0, interval.low), high=min(1.0, interval.high))
    return base.evolve(
        clusters=sample.clusters,
        clustered_standard_error=error,
        degrees_of_freedom=None if error is None else freedom,
        interval=interval,
        naive_interval=base.interval,
        test=_cluster_test(cluster_sums(differences, keys), method, reason),
        undefined=undefined,
        warnings=tuple(notes),
    )


def _cluster_test(sums: Sequence[float], method: PairedMethod, reason: str | None) -> SignificanceTest:
    name = "sign-flip permutation of clusters"
    if reason is not None:
        return SignificanceTest(method=name, reason=reason)
    test = sign_flip_test(sums, seed=method.seed)
    return test.evolve(method=test.method.replace("sign-flip permutation", name))


def _cluster_error(sample: ClusteredSample, correction: Correction) -> tuple[float | None, float]:
    error = cluster_standard_error(sample, correction)
    largest = max(map(abs, sample.residual_sums))
    if error == 0.0 or largest <= 1e-12 * abs(sample.mean) * sample.size:
        return None, 0.0
    return error, cluster_degrees_of_freedom(sample, correction)


def cluster_sums(differences: Sequence[float], clusters: Sequence[Hashable]) -> list[float]:
    """Return the sum of differences of each cluster: what a sign flip that keeps clusters whole flips.

    >>> cluster_sums([1.0, 1.0, -1.0], ["x", "x", "y"])
    [-1.0, 2.0]
    """
    groups: defaultdict[Hashable, list[float]] = defaultdict(list)
    for value, cluster in zip(differences, clusters, strict=True):
        groups[cluster].append(value)
    return sorted(math.fsum(group) for group in groups.values())


def _planned(comparison: PairedComparison, differences: Sequence[float]) -> PairedComparison:
    error = comparison.standard_error if comparison.clusters is None else comparison.clustered_standard_error
    undefined = dict(comparison.undefined)
    if error is None or comparison.degrees_of_freedom is None:
        reason = undefined.get("clustered_standard_error") or undefined.get("standard_error") or "no spread"
        undefined |= {"minimum_detectable_effect": reason, "cases_needed": reason}
        return comparison.evolve(undefined=undefined)
    factor = detectable_standard_errors(comparison.degrees_of_freedom, comparison.power, comparison.alpha)
    # The spread of one independent pair that would give this standard error: clusters are priced in.
    spread = error * math.sqrt(len(differences))
    needed = cases_needed(comparison.difference or 0.0, spread=spread, power=comparison.power, alpha=comparison.alpha)
    if needed is None:
        undefined["cases_needed"] = (
            "the observed difference is 0" if not comparison.difference else "the difference is too small"
        )
    return comparison.evolve(minimum_detectable_effect=factor * error, cases_needed=needed, undefined=undefined)


# --- families of comparisons ------------------------------------------------------------------------------


def adjusted(comparisons: Sequence[PairedComparison]) -> tuple[PairedComparison, ...]:
    """Adjust the p-values of a family of comparisons, over metrics or candidates, and decide each.

    Decisions take Holm's adjustment; Benjamini-Hochberg's is given for screening.
    """
    raw = [comparison.test.p_value for comparison in comparisons]
    family = zip(comparisons, holm(raw), benjamini_hochberg(raw), strict=True)
    return tuple(_decided(comparison, p_holm, p_bh, len(raw)) for comparison, p_holm, p_bh in family)


def _decided(comparison: PairedComparison, p_holm: float | None, p_bh: float | None, size: int) -> PairedComparison:
    undefined = dict(comparison.undefined)
    if p_holm is None:
        reason = comparison.test.reason or "no p-value"
        undefined |= dict.fromkeys(("p_holm", "p_benjamini_hochberg", "significant"), reason)
    return comparison.evolve(
        p_holm=p_holm,
        p_benjamini_hochberg=p_bh,
        family_size=size,
        significant=None if p_holm is None else p_holm <= comparison.alpha,
        undefined=undefined,
    )
