"""How alike the scores of a cluster are, and what that costs: intraclass correlation and design effect.

Model: a score is an overall mean, plus what its cluster has in common, plus a rest of its own (one-way random effects).
The intraclass correlation (ICC) is the share of the cluster's part in the variance; the design effect is by how much
clusters inflate the variance of the mean.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Final, Literal, TypeAlias

import attrs

from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.stats.arguments import Level, Score, checked_arguments, same_length
from themis.pure.stats.distributions import as_p_value, f_quantile, f_survival, t_quantile
from themis.pure.stats.linearised import centred
from themis.pure.stats.records import DEFAULT_LEVEL, Interval, SignificanceTest
from themis.pure.stats.samples import grouped, is_constant, mean, variance

_FEW: Final = 20
"""Below this many clusters the jackknife's intervals are too short."""

Method: TypeAlias = Literal["jackknife", "f"]

_F_TEST: Final = "F test of no likeness within clusters"


@attrs.frozen(kw_only=True)
class IntraclassCorrelation(HashableModel):
    """How alike the scores of a cluster are.

    Attributes:
        value: the ICC, from 0 where clusters say nothing to 1 where all of a cluster's scores are equal; estimates can
            lie below 0, down to -1 / (size - 1). `None` if not defined.
        interval: of the ICC.
        design_effect: the variance of the mean over what it were if scores were independent, at least 0.
        design_effect_interval: from the ends of `interval`.
        effective_size: how many independent scores would be as precise: `size / design_effect`.
        test: of an ICC of 0; its statistic is F.
        degrees_of_freedom: of F: clusters less one, and scores less clusters.
        between_variance: variance over clusters of their true means; not below 0.
        within_variance: variance of scores within a cluster.
        size: scores that count.
        left_out: scores that are missing.
        clusters: how many clusters.
        mean_cluster_size: `size / clusters`.
        weighted_cluster_size: the mean size of the cluster that a score is in, which the design effect rests on.
        reason: why `value` is not defined.
        warnings: what a reader should know.
    """

    value: float | None = None
    interval: Interval
    design_effect: float | None = None
    design_effect_interval: Interval
    effective_size: float | None = None
    test: SignificanceTest
    degrees_of_freedom: tuple[float, float] | None = None
    between_variance: float | None = None
    within_variance: float | None = None
    size: int
    left_out: int = 0
    clusters: int
    mean_cluster_size: float | None = None
    weighted_cluster_size: float | None = None
    reason: str | None = None
    warnings: tuple[str, ...] = attrs.field(default=(), converter=sequence)


@checked_arguments
def intraclass_correlation(
    values: Sequence[Score],
    clusters: Sequence[Hashable],
    *,
    method: Method = "jackknife",
    level: Level = DEFAULT_LEVEL,
) -> IntraclassCorrelation:
    """Estimate how alike the scores of a cluster are, and the design effect that follows.

    By analysis of variance. The interval leaves out each cluster in turn, which assumes nothing of how scores are
    distributed; that of the F distribution is for normal ones alone (of skewed scores it covers 0.80 to 0.90 where 0.95
    is said, of 0/1 scores at 90 % less than 0.80). The design effect is 1 + (m - 1) ICC with m the mean size of the
    cluster that a score is in.

    Args:
        values: scores, `None` where there is none.
        clusters: one key per value: the case of an answer, the document of a question.
        method: `jackknife` over clusters, or `f`, for normal scores.
        level: nominal coverage of the intervals.

    Conditions: clusters are independent and of one kind, and their sizes don't depend on their scores. Under 20
    clusters, and where only a few of them differ from the rest, as at pass rates of 90 %, the interval is too short.

    Source: Fisher (1925), Statistical Methods for Research Workers, chapter 7; jackknife: Arvesen (1969), Annals of
    Mathematical Statistics 40, 2076-2100, who takes the logarithm as here; F: Searle (1971), Linear Models, section
    9.9, and Thomas and Hultquist (1978), Annals of Statistics 6, 582-587, for unequal sizes; design effect: Kish
    (1965), Survey Sampling, section 5.4.

    >>> scores = [1, 1, 2, 2, 3, 2, 5, 4, 5, 3, 3, 4]
    >>> found = intraclass_correlation(scores, ["a"] * 3 + ["b"] * 3 + ["c"] * 3 + ["d"] * 3)
    >>> round(found.value, 3), round(found.design_effect, 2), found.degrees_of_freedom
    (0.852, 2.7, (3.0, 8.0))
    """
    same_length("intraclass_correlation", values=values, clusters=clusters)
    kept = [(float(value), key) for value, key in zip(values, clusters, strict=True) if value is not None]
    scores = [value for value, _ in kept]
    # Around the mean and in units of the largest deviation, so that squares neither cancel, vanish nor overflow.
    deviations = centred(scores) if scores else []
    unit = max(map(abs, deviations), default=0.0)
    groups = grouped([d / unit if unit else 0.0 for d in deviations], [key for _, key in kept])
    cells = sorted(_Cell(len(g), math.fsum(g), math.fsum(d * d for d in g)) for g in groups)
    size, count = len(scores), len(cells)
    name = "jackknife of Fisher's z over clusters" if method == "jackknife" else "F (Searle, Thomas-Hultquist)"
    base = IntraclassCorrelation(
        interval=Interval(level=level, method=name),
        design_effect_interval=Interval(level=level, method=f"1 + (m - 1) ICC, {name}"),
        test=SignificanceTest(method=_F_TEST),
        size=size,
        left_out=len(values) - size,
        clusters=count,
        mean_cluster_size=size / count if count else None,
    )
    reason = None
    if count < 2:
        reason = f"{count} clusters: two are needed"
    elif size == count:
        reason = "every cluster has one score: what is alike within clusters can't be told"
    elif is_constant(scores):
        reason = "no variation: all scores are equal"
    if reason is not None:
        return base.evolve(
            interval=base.interval.evolve(reason=reason),
            design_effect_interval=base.design_effect_interval.evolve(reason=reason),
            test=base.test.evolve(reason=reason),
            reason=reason,
        )
    found = _table(_sums(cells))
    weighted = sum(cell.size**2 for cell in cells) / size
    freedom = count - 1.0, float(size - count)
    value = found.icc
    if found.within <= 1e-12 * found.between:
        interval = base.interval.evolve(reason="no variation within any cluster")
    elif method == "f":
        interval = _searle(cells, found.within, freedom, base.interval)
    else:
        interval = _jackknifed(cells, found, base.interval)
    effect = 1.0 + (weighted - 1.0) * value
    warnings = (
        [f"{count} clusters: under {_FEW} the interval of an intraclass correlation is too short"]
        if count < _FEW
        else []
    )
    return base.evolve(
        value=value,
        interval=interval,
        design_effect=max(0.0, effect),
        design_effect_interval=_effects(interval, weighted, base.design_effect_interval),
        effective_size=size / effect if effect > 0.0 else None,
        test=_f_test(found, freedom),
        degrees_of_freedom=freedom,
        between_variance=max(0.0, (found.between - found.within) / found.usual_size) * unit * unit,
        within_variance=found.within * unit * unit,
        weighted_cluster_size=weighted,
        warnings=warnings,
    )


@attrs.frozen(order=True)
class _Cell:
    """A cluster: how many scores, their sum, and the sum of their squares."""

    size: int
    total: float
    squares: float


@attrs.frozen
class _Table:
    """An analysis of variance: mean squares between and within clusters, and the size that clusters count as."""

    between: float
    within: float
    usual_size: float

    @property
    def icc(self) -> float:
        return (self.between - self.within) / (self.between + (self.usual_size - 1.0) * self.within)


def _parts(cell: _Cell) -> tuple[float, ...]:
    """Return what a cluster adds to the sums that the table is made of."""
    return 1.0, cell.size, cell.size**2, cell.total, cell.total**2 / cell.size, cell.squares


def _sums(cells: Sequence[_Cell]) -> list[float]:
    return [math.fsum(column) for column in zip(*map(_parts, cells), strict=True)]


def _table(sums: Sequence[float]) -> _Table:
    count, size, sizes, total, of_means, squares = sums
    return _Table(
        between=max(0.0, of_means - total * total / size) / (count - 1.0),
        within=max(0.0, squares - of_means) / (size - count),
        usual_size=(size - sizes / size) / (count - 1.0),
    )


def _f_test(found: _Table, freedom: tuple[float, float]) -> SignificanceTest:
    if found.within <= 1e-12 * found.between:
        return SignificanceTest(method=_F_TEST, reason="no variation within any cluster")
    statistic = found.between / found.within
    p_value = as_p_value(f_survival(statistic, *freedom))
    return SignificanceTest(method=_F_TEST, p_value=p_value, statistic=statistic)


def _searle(cells: Sequence[_Cell], within: float, freedom: tuple[float, float], none: Interval) -> Interval:
    """Return the interval of the F distribution; where sizes differ, of the unweighted means."""
    harmonic = len(cells) / math.fsum(1.0 / cell.size for cell in cells)
    middle = mean([cell.total / cell.size for cell in cells])
    squares = math.fsum((cell.total / cell.size - middle) ** 2 for cell in cells)
    ratio = harmonic * squares / (len(cells) - 1) / within
    tail = (1.0 - none.level) / 2.0
    ends = [ratio / f_quantile(chance, *freedom) for chance in (1.0 - tail, tail)]
    low, high = ((f - 1.0) / (f + harmonic - 1.0) for f in ends)
    return none.evolve(low=low, high=high)


def _jackknifed(cells: Sequence[_Cell], found: _Table, none: Interval) -> Interval:
    """Return the t interval of z = log((1 + (m - 1) ICC) / (1 - ICC)) / 2, each cluster left out once.

    z is half the logarithm of F, whose spread hardly depends on the ICC (Fisher 1925).
    """
    count, usual = len(cells), found.usual_size

    def z(icc: float) -> float:
        return 0.5 * math.log((1.0 + (usual - 1.0) * icc) / (1.0 - icc))

    def icc(value: float) -> float:
        f = math.exp(2.0 * value)
        return (f - 1.0) / (f + usual - 1.0)

    whole = _sums(cells)
    try:
        centre = z(found.icc)
        values = [
            count * centre
            - (count - 1) * z(_table([w - part for w, part in zip(whole, _parts(cell), strict=True)]).icc)
            for cell in cells
        ]
    except (ValueError, ZeroDivisionError):
        return none.evolve(reason="without one of the clusters, no score varies within or between clusters")
    middle = mean(values)
    half = t_quantile(0.5 + none.level / 2.0, count - 1.0) * math.sqrt(variance(values) / count)
    return none.evolve(low=min(found.icc, icc(middle - half)), high=max(found.icc, icc(middle + half)))


def _effects(interval: Interval, weighted: float, none: Interval) -> Interval:
    if interval.low is None or interval.high is None:
        return none.evolve(reason=interval.reason)
    low, high = (max(0.0, 1.0 + (weighted - 1.0) * end) for end in (interval.low, interval.high))
    return none.evolve(low=low, high=high)
