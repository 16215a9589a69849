"""Two runs on the same cases: difference, interval, tests, and what the design could have found.

The rule of the room: the unit is the case. A case with several samples enters with its mean score in each
run, so that all its rows count and none is paired with a stranger. Differences are `b` minus `a`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
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
    Correction,
    by_cluster,
    checked,
    cluster_degrees_of_freedom,
    cluster_standard_error,
    grouped,
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
_NO_PAIR: Final = "no case is scored in both runs"
_NO_TEST: Final = SignificanceTest(method="none", reason=_NO_PAIR)


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
    a, b = _grouped(rows_a, "a"), _grouped(rows_b, "b")
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
    if not scored:
        figures = ("mean_a", "mean_b", "difference", "standard_error", "minimum_detectable_effect", "cases_needed")
        return adjusted([base.evolve(undefined=dict.fromkeys(figures, _NO_PAIR))])[0]
    scores_a, scores_b = [mean(a[key]) for key in scored], [mean(b[key]) for key in scored]
    differences = _differences(scores_a, scores_b)
    keys = None if clusters is None else observed_clusters(scored, clusters)
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    base = base.evolve(
        mean_a=mean(scores_a),
        mean_b=mean(scores_b),
        difference=mean(differences),
        wins=wins,
        losses=losses,
        ties=len(differences) - wins - losses,
        sign_test=sign_test(wins, losses),
        wilcoxon=wilcoxon_test(differences),
    )
    binary = is_binary(scores_a) and is_binary(scores_b)
    return adjusted([_planned(_tested(base, differences, keys, method, binary=binary))])[0]


def _left_out(comparison: PairedComparison) -> Iterator[str]:
    if comparison.changed:
        yield f"{comparison.changed} cases were left out: their content differs between the runs"
    if comparison.unscored:
        yield f"{comparison.unscored} cases were left out: at least one run has no score for them"
    a, b = comparison.unmatched_a, comparison.unmatched_b
    if a or b:
        yield f"{a} cases are only in {comparison.label_a}, {b} only in {comparison.label_b}"


def _differences(scores_a: Sequence[float], scores_b: Sequence[float]) -> list[float]:
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
    binary: bool,
) -> PairedComparison:
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
    if keys is not None:
        return _clustered(tested, differences, keys, method, reason, binary=binary)
    if binary:
        return tested.evolve(test=mcnemar_test(base.wins, base.losses, mid_p=method.mid_p))
    return tested if offset else tested.evolve(test=sign_flip_test(differences, seed=method.seed))


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
        error = cluster_standard_error(sample, method.correction)
        freedom = cluster_degrees_of_freedom(sample, method.correction)
        largest = max(map(abs, sample.residual_sums))
        if error == 0.0 or largest <= 1e-12 * abs(sample.mean) * sample.size:
            error, reason = None, "no variation between clusters"
    notes, undefined = list(base.warnings), dict(base.undefined)
    if 2 <= sample.clusters < FEW_CLUSTERS:
        notes.append(f"{sample.clusters} clusters: under {FEW_CLUSTERS} a cluster-robust interval is too short")
    name = "sign-flip permutation of clusters"
    if reason is None:
        test = sign_flip_test(cluster_sums(differences, keys), seed=method.seed)
        test = test.evolve(method=test.method.replace("sign-flip permutation", name))
    else:
        undefined["clustered_standard_error"] = reason
        test = SignificanceTest(method=name, reason=reason)
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
        test=test,
        undefined=undefined,
        warnings=notes,
    )


def cluster_sums(differences: Sequence[float], clusters: Sequence[Hashable]) -> list[float]:
    """Return the sum of differences of each cluster: what a sign flip that keeps clusters whole flips.

    >>> cluster_sums([1.0, 1.0, -1.0], ["x", "x", "y"])
    [-1.0, 2.0]
    """
    return sorted(map(math.fsum, grouped(differences, clusters)))


def _planned(comparison: PairedComparison) -> PairedComparison:
    error = comparison.standard_error if comparison.clusters is None else comparison.clustered_standard_error
    undefined = dict(comparison.undefined)
    if error is None or comparison.degrees_of_freedom is None:
        reason = undefined.get("clustered_standard_error") or undefined.get("standard_error") or "no spread"
        undefined |= {"minimum_detectable_effect": reason, "cases_needed": reason}
        return comparison.evolve(undefined=undefined)
    factor = detectable_standard_errors(comparison.degrees_of_freedom, comparison.power, comparison.alpha)
    # The spread of one independent pair that would give this standard error: clusters are priced in.
    spread = error * math.sqrt(comparison.pairs)
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
