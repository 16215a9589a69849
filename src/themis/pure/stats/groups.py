"""A metric's mean by group of cases: each group's own, that of all cases (micro) and that of the groups (macro).

Groups are strata that share the cases out among them: every case is in one of them, so that the groups' counts add up
to the whole, and the mean over all cases is the groups' means weighted by how many cases each has scored.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import attrs

from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.stats.arguments import Level, ScoreRange, Size, checked_arguments, refuse_unless, same_length
from themis.pure.stats.distributions import t_quantile
from themis.pure.stats.estimates import UNBOUNDED, estimate_mean
from themis.pure.stats.intervals import t_interval, wilson_interval
from themis.pure.stats.records import DEFAULT_LEVEL, Estimate, Interval
from themis.pure.stats.samples import DEFAULT_CORRECTION, Correction

V = TypeVar("V")

_WILSON = "stratified Wilson score (Satterthwaite)"
_STRATIFIED = "stratified Student t (Satterthwaite)"


@attrs.frozen(kw_only=True)
class Group(HashableModel):
    """One group of cases.

    Attributes:
        name: what its cases have in common; `None` for the cases that say nothing about it.
        estimate: their mean.
    """

    name: str | None
    estimate: Estimate


@attrs.frozen(kw_only=True)
class GroupedEstimate(HashableModel):
    """One metric's mean by group.

    Attributes:
        by: what the cases are grouped by, such as a key of their metadata.
        metric_id: the metric.
        groups: in the order of their names, numbers by their value; the cases that have none come last.
        micro: the mean over all cases: every case counts the same.
        macro: the mean of the groups' means: every group counts the same. Its unit is the group.
    """

    by: str
    metric_id: str
    groups: tuple[Group, ...] = attrs.field(converter=sequence)
    micro: Estimate
    macro: Estimate

    def __getitem__(self, name: str | None) -> Estimate:
        """Return a group's estimate by the group's name.

        Raises:
            KeyError: there is no such group.
        """
        for group in self.groups:
            if group.name == name:
                return group.estimate
        raise KeyError(name)


@checked_arguments
def estimate_by_group(
    values: Sequence[float | None],
    names: Sequence[str | None],
    *,
    by: str = "group",
    metric_id: str = "score",
    unit: str = "row",
    clusters: Sequence[Hashable] | None = None,
    categories: Sequence[str | None] | None = None,
    score_range: ScoreRange | None = None,
    level: Level = DEFAULT_LEVEL,
    correction: Correction = DEFAULT_CORRECTION,
    micro: Estimate | None = None,
    weights: Mapping[str, Size] | None = None,
) -> GroupedEstimate:
    """Estimate the mean of scores in each group, over all, and over the groups.

    Args:
        values: one per planned unit; `None` is a score that is missing.
        names: each value's group; `None` for the values that have none, which are a group of their own.
        by: what the groups are made by, for the record.
        metric_id, unit, clusters, categories, level, correction: as for `estimate_mean`.
        score_range: lowest and highest possible score, for the bounds of all groups; (0, 1) if all scores lie there.
        micro: the estimate over all values, if it was made already.
        weights: group -> its weight in the macro average, if the groups do not count the same there; only what part of
            their sum each is matters. A group that is not listed has the weight 1.

    Raises:
        StatisticsError: a value is NaN or infinite, or lies outside the range; or columns are not of one length; or all
            weights are 0.

    Source: Cochran (1977), Sampling Techniques, 3rd edition, chapter 5: the variance of a stratified mean is the sum of
    the strata's variances by their squared weights, `1 / groups` each unless weights are given; the degrees of freedom
    are section 5.4's. The interval of 0/1 scores is Wilson's, with the number of cases that would be as precise (Korn
    and Graubard 1998, Survey Methodology 24, 193-201), and Student's quantile.

    >>> found = estimate_by_group([1.0] * 100 + [0.0] * 10, ["easy"] * 100 + ["hard"] * 10)
    >>> [(group.name, group.estimate.mean) for group in found.groups]
    [('easy', 1.0), ('hard', 0.0)]
    >>> round(found.micro.mean, 4), found.macro.mean
    (0.9091, 0.5)
    """
    same_length("estimate_by_group", values=values, names=names, clusters=clusters, categories=categories)

    def estimate(places: Sequence[int] | None, known_range: tuple[float, float] | None) -> Estimate:
        return estimate_mean(
            _taken(values, places),
            metric_id=metric_id,
            unit=unit,
            clusters=None if clusters is None else _taken(clusters, places),
            categories=None if categories is None else _taken(categories, places),
            score_range=known_range,
            level=level,
            correction=correction,
        )

    micro = estimate(None, score_range) if micro is None else micro
    if score_range is None:  # what holds for all values, and not for those of one group alone
        score_range = (0.0, 1.0) if all(value is None or 0.0 <= value <= 1.0 for value in values) else UNBOUNDED
    places: defaultdict[str | None, list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        places[name].append(place)
    groups = [Group(name=name, estimate=estimate(places[name], score_range)) for name in sorted(places, key=_order)]
    spanning = 0 if clusters is None else _spanning(clusters, names)
    shares = [1.0 if weights is None or group.name is None else weights.get(group.name, 1.0) for group in groups]
    refuse_unless(not groups or any(shares), "estimate_by_group", "weights", weights, "a group of a weight above 0")
    macro = _macro(list(zip(groups, shares, strict=True)), micro, score_range, spanning)
    return GroupedEstimate(by=by, metric_id=metric_id, groups=groups, micro=micro, macro=macro)


def _taken(values: Sequence[V], places: Sequence[int] | None) -> Sequence[V]:
    return values if places is None else [values[place] for place in places]


def _order(name: str | None) -> tuple[int, float, str]:
    if name is None:
        return 2, 0.0, ""
    try:
        number = float(name)
    except ValueError:
        return 1, 0.0, name
    return (0, number, name) if math.isfinite(number) else (1, 0.0, name)


def _spanning(clusters: Sequence[Hashable], names: Iterable[str | None]) -> int:
    """Return how many clusters have values in several groups."""
    found: defaultdict[Hashable, set[str | None]] = defaultdict(set)
    for cluster, name in zip(clusters, names, strict=True):
        found[cluster].add(name)
    return sum(len(of_cluster) > 1 for of_cluster in found.values())


# --- the macro average ------------------------------------------------------------------------------------


_Weighted: TypeAlias = tuple[Group, float]


def _macro(groups: Sequence[_Weighted], micro: Estimate, score_range: tuple[float, float], spanning: int) -> Estimate:
    scored = [(group, weight) for group, weight in groups if group.estimate.mean is not None]
    empty = len(groups) - len(scored)
    level = micro.interval.level
    base = Estimate(
        metric_id=micro.metric_id,
        unit="group",
        planned=len(groups),
        scored=len(scored),
        missing=empty,
        missing_by_category={"no scored value": empty} if empty else {},
        binary=micro.binary,
        interval=Interval(level=level, method="none", reason="no scored value"),
        warnings=(f"{empty} of {len(groups)} groups have no score",) if empty else (),
    )
    if not any(weight for _, weight in scored):
        figures = ("mean", "standard_error", "if_missing_wrong", "if_missing_right")
        return base.evolve(undefined=dict.fromkeys(figures, "no scored value"))
    centre = _weighted([(group.estimate.mean or 0.0, weight) for group, weight in scored])
    error, reason = _stratified_error(scored, spanning)
    wrong, right = _macro_bounds(groups, score_range)
    reasons = {
        "standard_error": reason,
        "if_missing_wrong": "the metric's score range is not declared" if wrong is None else None,
        "if_missing_right": "the metric's score range is not declared" if right is None else None,
    }
    return base.evolve(
        mean=centre,
        standard_error=error,
        interval=_macro_interval(scored, centre, error, reason, base),
        if_missing_wrong=wrong,
        if_missing_right=right,
        undefined={figure: why for figure, why in reasons.items() if why is not None},
    )


def _weighted(values: Sequence[tuple[float, float]]) -> float:
    """Return the mean of values by their weights; of equal weights, what `mean` gives, to the last digit."""
    return math.fsum(value * weight for value, weight in values) / math.fsum(weight for _, weight in values)


def _stratified_error(scored: Sequence[_Weighted], spanning: int) -> tuple[float | None, str | None]:
    if spanning:
        return None, f"groups are not independent: clusters with cases in several of them: {spanning}"
    alone = next((group for group, _ in scored if _independent(group) < 2), None)
    if alone is not None:
        name = "without a name" if alone.name is None else repr(alone.name)
        return None, f"group {name} has none: {alone.estimate.undefined['standard_error']}"
    error = math.sqrt(math.fsum(map(_variance, scored))) / math.fsum(weight for _, weight in scored)
    return (error, None) if error else (None, "no variation within any group")


def _variance(weighted: _Weighted) -> float:
    """Return what a group adds to the variance of the sum of weighted means.

    It is 0 where its scores don't vary, as without it the sum would be biased.
    """
    group, weight = weighted
    return (weight * (group.estimate.standard_error or 0.0)) ** 2


def _independent(group: Group) -> int:
    return group.estimate.scored if group.estimate.clusters is None else group.estimate.clusters


def _macro_interval(
    scored: Sequence[_Weighted], centre: float, error: float | None, reason: str | None, base: Estimate
) -> Interval:
    level, method = base.interval.level, _WILSON if base.binary else _STRATIFIED
    if error is None:
        return Interval(level=level, method=method, reason=reason)
    freedom = satterthwaite([(_variance(each), _independent(each[0]) - 1.0) for each in scored])
    if not base.binary:
        return t_interval(centre, error, freedom, level=level, method=method)
    effective, critical = centre * (1.0 - centre) / (error * error), t_quantile(0.5 + level / 2.0, freedom)
    return wilson_interval(centre, effective, level=level, critical=critical, method=method)


def satterthwaite(parts: Sequence[tuple[float, float]]) -> float:
    """Return the effective degrees of freedom of a sum of variances (Satterthwaite 1946; Cochran 1977, 5.16).

    Args:
        parts: variances, not all of which are 0, each with its degrees of freedom.

    >>> satterthwaite([(1.0, 9.0), (1.0, 9.0)]), satterthwaite([(1.0, 9.0), (0.0, 3.0)])
    (18.0, 9.0)
    """
    largest = max(variance for variance, _ in parts)
    shares = [(variance / largest, freedom) for variance, freedom in parts]  # which can't all vanish
    return math.fsum(share for share, _ in shares) ** 2 / math.fsum(share**2 / freedom for share, freedom in shares)


def _macro_bounds(groups: Sequence[_Weighted], score_range: tuple[float, float]) -> tuple[float | None, float | None]:
    """Return the macro average if every missing score were the lowest, or the highest, of those there can be."""
    lowest, highest = [], []
    for group, weight in groups:
        low, high = group.estimate.if_missing_wrong, group.estimate.if_missing_right
        if group.estimate.scored == 0 and score_range != UNBOUNDED:
            low, high = score_range
        if low is None or high is None:
            return None, None
        lowest.append((low, weight))
        highest.append((high, weight))
    return _weighted(lowest), _weighted(highest)
